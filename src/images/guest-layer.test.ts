import { mkdir, mkdtemp, readFile, readdir, rm, stat, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { guestLayer } from "./guest-layer.ts";
import { kernelDirectory, nativeFile } from "./native.ts";

let state = "";

beforeEach(async () => {
  state = await mkdtemp(join(tmpdir(), "cofferdam-layer-"));
});

afterEach(async () => {
  await rm(state, { recursive: true, force: true });
});

async function modeOf(path: string): Promise<string> {
  return ((await stat(path)).mode & 0o7777).toString(8);
}

test("the guest layer has the agent, the kernels and the mount points, for everybody to read and nobody to write", async () => {
  const layer = await guestLayer(state);
  expect(layer).toMatch(/\/guest\/[0-9a-f]{64}$/);
  const [agent, built] = await Promise.all(
    [join(layer, ".cofferdam/agent"), nativeFile("agent")].map((file) => readFile(file)),
  );
  expect(built !== undefined && agent?.equals(built)).toBe(true);
  expect(await readdir(join(layer, ".cofferdam/kernels"))).toEqual(
    await readdir(kernelDirectory()),
  );
  const modes = {
    "": "755",
    ".cofferdam": "755",
    ".cofferdam/agent": "755",
    tmp: "1777",
    proc: "555",
  };
  for (const [path, mode] of Object.entries(modes))
    expect([path, await modeOf(join(layer, path))]).toEqual([path, mode]);
});

test("the guest layer is made once, also when many ask at once", async () => {
  const layers = await Promise.all(Array.from({ length: 8 }, () => guestLayer(state)));
  expect(new Set(layers).size).toBe(1);
  expect(await readdir(join(state, "guest"))).toHaveLength(1);
});

test("a guest layer that was removed is made again", async () => {
  const layer = await guestLayer(state);
  await rm(layer, { recursive: true });
  expect(await guestLayer(state)).toBe(layer);
  expect(await modeOf(join(layer, ".cofferdam/agent"))).toBe("755");
});

test("no layer is removed that a machine stands on or that is a minute young", async () => {
  const used = join(state, "guest", "a".repeat(64));
  await mkdir(used, { recursive: true });
  await mkdir(join(state, "machines/i1"), { recursive: true });
  await writeFile(
    join(state, "machines/i1/plan.json"),
    JSON.stringify({ version: 1, root: { lower: [used, "/nowhere"] } }),
  );
  await writeFile(join(state, "machines/i2"), "not a machine");
  await utimes(used, 0, 0);
  const layer = await guestLayer(state);
  expect((await readdir(join(state, "guest"))).map((name) => join(state, "guest", name))).toEqual(
    [used, layer].toSorted(),
  );
});
