import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { type RequestListener, createServer } from "node:http";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { engineApi } from "./api.ts";

let directory = "";
const call = { method: "PUT", path: "/boot-source", body: { boot_args: "ä" } } as const;
const patience = (): AbortSignal => AbortSignal.timeout(30_000);

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "cofferdam-api-"));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

/** Something that answers on the socket, which may be anything once a guest has broken out into Firecracker. */
async function answering(listener: RequestListener): Promise<AsyncDisposable & { path: string }> {
  const path = join(directory, "s");
  const server = createServer(listener).listen(path);
  await once(server, "listening");
  return { path, [Symbol.asyncDispose]: async () => void (await once(server.close(), "close")) };
}

test("a call is asked as it stands, and what is refused says why", async () => {
  const heard: unknown[] = [];
  await using server = await answering((asked, answer) => {
    asked.on("data", (chunk: Buffer) => heard.push([asked.method, asked.url, chunk.toString()]));
    asked.on("end", () => {
      answer.statusCode = heard.length === 1 ? 204 : 400;
      answer.end(heard.length === 1 ? "" : '{"fault_message":"no\\u0007such\\nkernel"}');
    });
  });
  using api = await engineApi(server.path, patience());
  await api.ask(call);
  expect(heard).toEqual([["PUT", "/boot-source", '{"boot_args":"ä"}']]);
  await expect(api.ask(call)).rejects.toMatchObject({
    code: "unavailable",
    message: "Firecracker refused /boot-source: no such kernel",
  });
});

test("an answer without end, or none at all, is an error", async () => {
  await using server = await answering((_, answer) => {
    answer.statusCode = 400;
    answer.write("x".repeat(1_000_000));
  });
  using api = await engineApi(server.path, patience());
  await expect(api.ask(call)).rejects.toMatchObject({ code: "unavailable" });
});

test("what is no socket is not spoken with, and a link is not followed", async () => {
  await using server = await answering((_, answer) => answer.end());
  writeFileSync(join(directory, "file"), "");
  symlinkSync(server.path, join(directory, "link"));
  for (const name of ["file", "link"])
    await expect(engineApi(join(directory, name), patience())).rejects.toMatchObject({
      code: "untrusted",
    });
});

test("waiting for a socket ends with its signal", async () => {
  await expect(engineApi(join(directory, "none"), AbortSignal.timeout(50))).rejects.toMatchObject({
    code: expect.stringMatching(/cancelled|timed-out/),
  });
});
