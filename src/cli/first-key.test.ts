import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { openStore } from "../store/open-store.ts";
import { firstKey } from "./first-key.ts";

test("the file of the first key is named at every start, while it is there and its key is good", async () => {
  const directory = mkdtempSync(join(tmpdir(), "cofferdam-first-key-"));
  try {
    await using store = await openStore({ directory });
    const file = join(directory, "first-key");
    expect(await firstKey(store, directory)).toBe(file);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const secret = readFileSync(file, "utf8").trim();
    expect(await firstKey(store, directory)).toBe(file);
    expect(readFileSync(file, "utf8").trim()).toBe(secret);
    const { key } = await store.keys.authenticate(secret);
    await store.keys.revoke(key.id);
    expect(await firstKey(store, directory)).toBeUndefined();
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});
