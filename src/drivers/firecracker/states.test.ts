import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { createHash } from "node:crypto";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { signatureOf, signingKey } from "./signature.ts";
import { type StatePlace, knownState } from "./states.ts";

const facts = { firecracker: "1.16.1", processor: "one", shape: "{}", files: { vmlinux: "ab" } };
let root = "";
let place: StatePlace;

beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), "cofferdam-states-"));
  place = { root, path: join(root, "firecracker-1"), facts };
  mkdirSync(place.path);
  writeFileSync(join(place.path, "memory"), "pages");
  writeFileSync(join(place.path, "devices"), "registers");
  await writePage({});
});

afterEach(() => rmSync(root, { recursive: true, force: true }));

const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");

async function writePage(changed: object): Promise<void> {
  const digests = { memorySha256: sha256("pages"), devicesSha256: sha256("registers") };
  const page = JSON.stringify({ version: 1, facts: { ...facts, ...changed }, ...digests });
  const signature = signatureOf(page, await signingKey(join(root, "key.pem")));
  writeFileSync(join(place.path, "page.json"), JSON.stringify({ page, signature }));
}

const untrusted = (message: RegExp): unknown =>
  expect.objectContaining({ code: "untrusted", message: expect.stringMatching(message) });

test("a state that is as it was saved is found", async () => {
  expect(await knownState(place)).toEqual({
    memory: join(place.path, "memory"),
    devices: join(place.path, "devices"),
  });
  expect(await knownState({ ...place, path: join(root, "none") })).toBeUndefined();
});

test.each(["memory", "devices"])("a state whose %s was changed is refused", async (name) => {
  appendFileSync(join(place.path, name), "!");
  await expect(knownState(place)).rejects.toEqual(untrusted(/not what was noted/));
});

test("a page that was changed is refused, as is one signed by another host or by nobody", async () => {
  const file = join(place.path, "page.json");
  const written = readFileSync(file, "utf8");
  const unsigned = untrusted(/not signed by this host/);
  writeFileSync(file, written.replace("1.16.1", "1.16.2"));
  await expect(knownState(place)).rejects.toEqual(unsigned);
  writeFileSync(file, written.slice(0, -9));
  await expect(knownState(place)).rejects.toEqual(unsigned);
  writeFileSync(file, JSON.stringify({ page: "{}", signature: "" }));
  await expect(knownState(place)).rejects.toEqual(unsigned);
  writeFileSync(file, written);
  rmSync(join(root, "key.pem"));
  await expect(knownState(place)).rejects.toEqual(unsigned);
});

test.each([
  [{ firecracker: "1.15.1" }, /another Firecracker/],
  [{ processor: "another" }, /another processor/],
  [{ files: { vmlinux: "cd" } }, /another kernel/],
  [{ shape: '{"memoryMiB":1}' }, /another machine/],
])("a state with %j is refused with the reason", async (changed, reason) => {
  await writePage(changed);
  await expect(knownState(place)).rejects.toEqual(untrusted(reason));
});
