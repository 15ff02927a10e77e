import { createHash, randomUUID } from "node:crypto";
import { mkdir, open, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { SandboxError } from "../core/errors.ts";
import { numberIn } from "../core/validate.ts";
import { fileError, isMissing } from "./file-errors.ts";
import { hostCommand } from "./host-command.ts";

/** Written out in full, so that the host's mke2fs.conf has no say. No journal: a machine's disk dies with the machine. */
const features =
  "ext_attr,dir_index,filetype,extent,flex_bg,sparse_super,large_file,huge_file,uninit_bg,dir_nlink,extra_isize";
const format = `-O none,${features} -b 4096 -I 256 -i 8192 -m 0 -L cofferdam`.split(" ");
/** The second is for e2fsprogs before 1.47, which does not know the first. Both leave the inode tables unwritten. */
const extensions = [
  "assume_storage_prezeroed=1,nodiscard,root_owner=0:0",
  "lazy_itable_init=1,nodiscard,root_owner=0:0",
];
const digest = createHash("sha256").update(format.join(" ")).digest("hex").slice(0, 16);

/**
 * A formatted, empty and sparse ext4 image of this size, made once and then only copied.
 *
 * Throws `invalid` (size), `unavailable` (no mkfs.ext4), `denied`, `disk-full`.
 */
export async function blankDisk(stateDir: string, sizeMiB: number): Promise<string> {
  numberIn("resources.diskMiB", sizeMiB, { min: 8, max: 16_777_216, unit: "MiB" });
  const directory = join(stateDir, "blank");
  const path = join(directory, `${digest}-${sizeMiB}.ext4`);
  if (await isSize(path, sizeMiB * 1_048_576)) return path;
  const aside = join(directory, `.${randomUUID()}.new`);
  try {
    await mkdir(directory, { recursive: true });
    await makeSparse(aside, sizeMiB * 1_048_576);
    await makeFileSystem(aside);
    await rename(aside, path);
  } catch (error) {
    throw fileError(error, "make an empty disk");
  } finally {
    await rm(aside, { force: true });
  }
  return path;
}

async function isSize(path: string, bytes: number): Promise<boolean> {
  try {
    return (await stat(path)).size === bytes;
  } catch (error) {
    if (isMissing(error)) return false;
    throw fileError(error, "find the empty disk");
  }
}

async function makeSparse(path: string, bytes: number): Promise<void> {
  const handle = await open(path, "wx", 0o600);
  try {
    await handle.truncate(bytes);
  } finally {
    await handle.close();
  }
}

async function makeFileSystem(path: string): Promise<void> {
  let last: readonly string[] = [];
  for (const extension of extensions) {
    const made = await hostCommand(["mkfs.ext4", "-q", "-F", ...format, "-E", extension, path]);
    if (made.exitCode === 0) return;
    last = made.lines;
  }
  throw new SandboxError("internal", `mkfs.ext4 failed: ${last.join(" ").slice(0, 500)}`);
}
