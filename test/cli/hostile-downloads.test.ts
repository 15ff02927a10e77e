import { readdirSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { download } from "../../src/cli/downloads.ts";
import { hostileMachine } from "../security/hostile-agent.ts";
import { scratch } from "./cofferdam.ts";

const directory = { name: "d", path: "/home/user/d", type: "FILE_TYPE_DIRECTORY" };

/** Downloads a directory from a guest that says it holds an entry of this name, over and over. */
async function downloaded(name: string, type: string, into: string): Promise<unknown> {
  await using hostile = await hostileMachine((socket, request) => {
    const entry = { name, path: `/home/user/d/${name}`, type };
    const answer = JSON.stringify(
      request.includes("/ListDir") ? { entries: [entry] } : { entry: directory },
    );
    const size = Buffer.byteLength(answer);
    socket.end(
      `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${size}\r\nconnection: close\r\n\r\n${answer}`,
    );
  });
  const transfers = [{ remote: "d", local: into }];
  return await download(hostile.machine.files, transfers, new AbortController().signal).then(
    () => "succeeded",
    (error: unknown) => error,
  );
}

test.each(["../escaped", "/etc/cron.d/escaped", "..", ".", "", "a/b", "nul\0"])(
  "a guest that lists %j gets nothing written",
  async (name) => {
    using place = scratch();
    for (const type of ["FILE_TYPE_FILE", "FILE_TYPE_DIRECTORY"])
      expect(await downloaded(name, type, join(place.path, "got"))).toMatchObject({
        code: "untrusted",
      });
    expect(readdirSync(place.path, { recursive: true })).toEqual(["got"]);
  },
);

test("a guest whose directories never end is left at a depth", async () => {
  using place = scratch();
  expect(await downloaded("deeper", "FILE_TYPE_DIRECTORY", join(place.path, "got"))).toMatchObject({
    code: "exhausted",
    mend: expect.stringContaining("archive"),
  });
});
