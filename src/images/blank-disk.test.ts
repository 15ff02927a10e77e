import { execFile } from "node:child_process";
import { mkdtemp, readdir, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, expect, test } from "vitest";
import { refusalOf } from "../../test/support/refusals.ts";
import { blankDisk } from "./blank-disk.ts";

const run = promisify(execFile);
let state = "";

beforeEach(async () => {
  state = await mkdtemp(join(tmpdir(), "cofferdam-blank-"));
});

afterEach(async () => {
  await rm(state, { recursive: true, force: true });
});

test("an empty disk is a sound file system of its size that takes next to nothing", async () => {
  const path = await blankDisk(state, 1024);
  await run("fsck.ext4", ["-f", "-n", path], { env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin" } });
  const { size, blocks } = await stat(path);
  expect(size).toBe(1024 * 1_048_576);
  expect(blocks * 512).toBeLessThan(1_048_576);
});

test("an empty disk is made once for each size, also when many ask at once", async () => {
  const paths = await Promise.all([64, 64, 64, 32].map((size) => blankDisk(state, size)));
  expect(new Set(paths).size).toBe(2);
  const [path = ""] = paths;
  const { ino } = await stat(path);
  expect(await blankDisk(state, 64)).toBe(path);
  expect((await stat(path)).ino).toBe(ino);
  expect(await readdir(join(state, "blank"))).toHaveLength(2);
});

test.each([0, -1, 1.5, 7, Number.NaN, 1e9])("no empty disk has %d MiB", async (size) => {
  expect(await refusalOf(blankDisk(state, size))).toMatchObject({
    code: "invalid",
    field: "resources.diskMiB",
  });
  expect(await readdir(state)).toEqual([]);
});
