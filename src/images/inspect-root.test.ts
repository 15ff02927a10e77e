import { execFile } from "node:child_process";
import { chown, link, mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { refusalOf } from "../../test/support/refusals.ts";
import { inspectRoot } from "./inspect-root.ts";

let root = "";

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "cofferdam-root-"));
});

afterEach(async () => {
  await rm(root, { recursive: true, force: true });
});

test("a file with two names counts once, and a link's target not at all", async () => {
  await writeFile(join(root, "one"), Buffer.alloc(1_048_576, 1));
  const alone = await inspectRoot(root);
  await link(join(root, "one"), join(root, "two"));
  await symlink("/usr", join(root, "three"));
  expect(alone).toBeGreaterThanOrEqual(1_048_576);
  expect(await inspectRoot(root)).toBe(alone);
});

describe.skipIf(process.getuid?.() !== 0)("as root", () => {
  test("a device anywhere in an image is refused", async () => {
    await mkdir(join(root, "a/b"), { recursive: true });
    await promisify(execFile)("mknod", [join(root, "a/b/disk"), "b", "7", "0"]);
    const refusal = await refusalOf(inspectRoot(root));
    expect(refusal.code).toBe("invalid");
    expect(refusal.message).toContain("/a/b/disk");
  });

  test("an owner that no machine maps is refused", async () => {
    await writeFile(join(root, "file"), "");
    await chown(join(root, "file"), 0, 65_536);
    expect(await refusalOf(inspectRoot(root))).toMatchObject({ code: "invalid" });
  });
});
