import { totalmem } from "node:os";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { subjects } from "../cli/cofferdam.ts";
import { type Served, call, serve } from "./serve.ts";

const driver = (await subjects()).find(({ absent }) => absent === undefined)?.name;

const own = "POST /cofferdam/v1/sandboxes";
/** Room for three sandboxes of 128 MiB. */
const overcommit = String(400 / (totalmem() / 1_048_576 - 256));

function wish(resources: Readonly<Record<string, number>>): object {
  const limits = { cpus: 1, pids: 128, openFiles: 1024, diskMiB: 256, ...resources };
  return { templateID: "base", driver, timeout: 300, resources: limits };
}

function isMade({ status }: { readonly status: number }): boolean {
  return status === 201;
}

describe.skipIf(driver === undefined)("a host that has no room", () => {
  let server: Served | undefined;
  const now = (): Served => {
    if (server === undefined) throw new Error("the server does not run yet");
    return server;
  };
  beforeAll(async () => {
    server = await serve(["--port", "0", "--end-sandboxes", "--memory-overcommit", overcommit]);
  });
  afterAll(async () => {
    await server?.end("SIGTERM");
  });
  test("promises no more memory than it was told, however many ask at once, and some again once it is free", async () => {
    const answers = await Promise.all(
      Array.from({ length: 12 }, () => call(now(), own, wish({ memoryMiB: 128 }))),
    );
    const made = answers.filter(isMade);
    const refused = answers.filter((answer) => !isMade(answer));
    expect(made).toHaveLength(3);
    for (const { status, headers, body } of refused) {
      expect([status, body]).toMatchObject([
        503,
        { code: 503, message: expect.stringContaining("128 MiB") },
      ]);
      expect(headers.get("retry-after")).toBe("1");
    }
    const ids = made.map(({ body }) =>
      typeof body === "object" && body !== null && "sandboxID" in body
        ? String(body.sandboxID)
        : "",
    );
    expect((await call(now(), own, wish({ memoryMiB: 128 }))).status).toBe(503);
    expect((await call(now(), `DELETE /sandboxes/${ids[0]}`)).status).toBe(204);
    expect((await call(now(), own, wish({ memoryMiB: 128 }))).status).toBe(201);
  });

  test("has no disk for a sandbox that is larger than it, and says so before anything starts", async () => {
    const { status, body } = await call(now(), own, wish({ memoryMiB: 32, diskMiB: 16_000_000 }));
    expect([status, body]).toMatchObject([
      507,
      { code: 507, message: expect.stringContaining("16000000 MiB") },
    ]);
  });
});
