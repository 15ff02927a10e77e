import { execFile } from "node:child_process";
import { chmod, mkdtemp, rm, statfs, symlink } from "node:fs/promises";
import { tmpdir, totalmem } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";
import { stateDir, subjects } from "../cli/cofferdam.ts";
import { type Served, call, powersOf, serve } from "./serve.ts";

const driver = (await subjects()).find(({ absent }) => absent === undefined)?.name;

const run = promisify(execFile);

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

function idsIn(body: unknown): string[] {
  const known = z.array(z.object({ sandboxID: z.string() })).parse(body);
  return known.map(({ sandboxID }) => sandboxID);
}

/** One whose paused machines stay in the host's memory; gVisor's are brought to the disk. */
async function keeperOfMemory(server: Served): Promise<string | undefined> {
  for (const { name, absent } of await subjects())
    if (
      name !== "gvisor" &&
      absent === undefined &&
      (await powersOf(server, name)).pauseKeeps.includes("memory")
    )
      return name;
  return undefined;
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

  test("counts the memory that paused sandboxes keep, and not twice when one is resumed", async ({
    skip,
  }) => {
    const name = await keeperOfMemory(now());
    if (name === undefined) skip("no driver keeps memory");
    const asked = { ...wish({ memoryMiB: 128 }), driver: name };
    const before = (await call(now(), "GET /v2/sandboxes")).body;
    for (const id of idsIn(before)) await call(now(), `DELETE /sandboxes/${id}`);
    const ids: string[] = [];
    for (let made = 0; made < 3; made += 1) {
      ids.push(...idsIn([(await call(now(), own, asked)).body]));
      expect((await call(now(), `POST /sandboxes/${ids[made]}/pause`, {})).status).toBe(204);
    }
    expect((await call(now(), own, asked)).status).toBe(503);
    const resumed = await call(now(), `POST /sandboxes/${ids[0]}/connect`, { timeout: 300 });
    expect(resumed.status).toBe(201);
    expect((await call(now(), `DELETE /sandboxes/${ids[1]}`)).status).toBe(204);
    expect((await call(now(), own, asked)).status).toBe(201);
  });

  test("has no disk for a sandbox that is larger than it, and says so before anything starts", async () => {
    const { status, body } = await call(now(), own, wish({ memoryMiB: 32, diskMiB: 16_000_000 }));
    expect([status, body]).toMatchObject([
      507,
      { code: 507, message: expect.stringContaining("16000000 MiB") },
    ]);
  });
});

describe.skipIf(driver === undefined)("a disk that is nearly full", () => {
  test("takes no snapshot and makes no copies that may come to fill it", async () => {
    const place = await mkdtemp(join(tmpdir(), "cofferdam-narrow-"));
    await run("mount", ["-t", "tmpfs", "-o", "size=2g,mode=0755", "none", place]);
    try {
      await chmod(place, 0o755);
      await symlink(join(stateDir, "templates"), join(place, "templates"));
      const server = await serve(["--port", "0", "--end-sandboxes"], { stateDir: place });
      try {
        const [id] = idsIn([(await call(server, own, wish({ memoryMiB: 128 }))).body]);
        const taken = await call(server, `POST /sandboxes/${id}/snapshots`, {});
        expect(taken.status).toBe(201);
        const { bavail, bsize } = await statfs(place);
        await run("fallocate", ["-l", String(bavail * bsize - 600 * 1_048_576), `${place}/filler`]);
        for (const route of ["snapshots", "fork"]) {
          const { status, body } = await call(server, `POST /sandboxes/${id}/${route}`, {});
          expect([route, status, body]).toMatchObject([route, 507, { code: 507 }]);
        }
      } finally {
        await server.end("SIGTERM");
      }
    } finally {
      await run("umount", [place]);
      await rm(place, { recursive: true });
    }
  });
});
