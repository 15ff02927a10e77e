import { lstat, opendir } from "node:fs/promises";
import { join } from "node:path";
import { SandboxError } from "../core/errors.ts";

/** Ids that a machine's user namespace maps. */
const largestId = 65_535;

/**
 * Bytes that a root filesystem takes on the host's disk, files with several names counted once.
 *
 * Throws `invalid` when it holds what a template must not: device nodes, owners outside of 0 to 65535. Follows no link.
 */
export async function inspectRoot(root: string): Promise<number> {
  const counted = new Set<bigint>();
  const waiting = [root];
  let blocks = 0n;
  for (let directory = waiting.pop(); directory !== undefined; directory = waiting.pop()) {
    for await (const entry of await opendir(directory)) {
      const path = join(directory, entry.name);
      const facts = await lstat(path, { bigint: true });
      refuse(path.slice(root.length), facts);
      if (facts.isDirectory()) waiting.push(path);
      if (counted.has(facts.ino)) continue;
      if (facts.nlink > 1n && !facts.isDirectory()) counted.add(facts.ino);
      blocks += facts.blocks;
    }
  }
  return Number(blocks) * 512;
}

interface Facts {
  readonly uid: bigint;
  readonly gid: bigint;
  isBlockDevice(): boolean;
  isCharacterDevice(): boolean;
}

function refuse(path: string, facts: Facts): void {
  if (facts.isBlockDevice() || facts.isCharacterDevice())
    throw new SandboxError("invalid", `the image has a device at ${path}`, { field: "run" });
  if (facts.uid > largestId || facts.gid > largestId)
    throw new SandboxError("invalid", `the owner of ${path} is above ${largestId}`, {
      field: "run",
      mend: "give it to a user or group below 65536",
    });
}
