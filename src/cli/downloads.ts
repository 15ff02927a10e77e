import { randomBytes } from "node:crypto";
import { createWriteStream } from "node:fs";
import { mkdir, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { EntryInfo, Files } from "../core/files.ts";
import { SandboxError } from "../core/errors.ts";
import { hostFileError } from "./host-files.ts";
import type { Transfer } from "./transfer-paths.ts";

interface Download {
  readonly files: Files;
  readonly signal: AbortSignal;
  readonly written: string[];
  readonly leftOut: string[];
}

/** What a download did. */
export interface Downloaded {
  /** Paths of the host. */
  readonly written: readonly string[];
  /** Paths of the sandbox that were left out: symbolic links inside a directory. */
  readonly leftOut: readonly string[];
}

const maxEntries = 100_000;
const maxDepth = 64;

/** Copies files and directories out of a sandbox. A failed file leaves what was there before. Throws `not-found`, `untrusted`. */
export async function download(
  files: Files,
  transfers: readonly Transfer[],
  signal: AbortSignal,
): Promise<Downloaded> {
  const state: Download = { files, signal, written: [], leftOut: [] };
  for (const { remote, local } of transfers) {
    const entry = await files.stat(remote, { signal });
    if (entry.type === "directory") await downloadDirectory(state, { remote, local }, 0);
    else if (await isDirectory(local))
      await downloadFile(state, { remote, local: join(local, basename(remote)) });
    else await downloadFile(state, { remote, local });
  }
  return { written: state.written, leftOut: state.leftOut };
}

async function isDirectory(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch (cause) {
    const error = hostFileError("download", path, cause);
    if (error.code === "not-found") return false;
    throw error;
  }
}

async function downloadDirectory(
  state: Download,
  { remote, local }: Transfer,
  depth: number,
): Promise<void> {
  if (depth > maxDepth) throw tooMuch(`${remote} is deeper than ${maxDepth} directories`);
  await makeDirectory(local);
  for (const entry of await state.files.list(remote, { depth: 1, signal: state.signal })) {
    const name = childName(remote, entry);
    const inside = { remote: `${remote.replace(/\/+$/, "")}/${name}`, local: join(local, name) };
    if (entry.symlinkTarget !== undefined) state.leftOut.push(inside.remote);
    else if (entry.type === "directory") await downloadDirectory(state, inside, depth + 1);
    else await downloadFile(state, inside);
  }
}

/** A name that a guest gave, which must not lead out of the directory that it is listed in. */
function childName(remote: string, { name }: EntryInfo): string {
  if (/^[^/\0]+$/.test(name) && name !== "." && name !== "..") return name;
  throw new SandboxError(
    "untrusted",
    `the sandbox listed ${JSON.stringify(name.slice(0, 60))} in ${remote}, which is no name of a file`,
  );
}

async function downloadFile(state: Download, { remote, local }: Transfer): Promise<void> {
  if (state.written.length >= maxEntries) throw tooMuch(`there are more than ${maxEntries} files`);
  const content = await state.files.read(remote, { signal: state.signal });
  await makeDirectory(dirname(local));
  const partial = join(
    dirname(local),
    `.${basename(local)}.${randomBytes(4).toString("hex")}.part`,
  );
  try {
    const source = Readable.fromWeb(content.stream() as Parameters<typeof Readable.fromWeb>[0]);
    await pipeline(source, createWriteStream(partial, { flags: "wx" }), { signal: state.signal });
    await rename(partial, local);
    state.written.push(local);
  } catch (cause) {
    await rm(partial, { force: true });
    throw hostFileError("download", local, cause);
  }
}

async function makeDirectory(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true });
  } catch (cause) {
    throw hostFileError("download", path, cause);
  }
}

function tooMuch(message: string): SandboxError {
  return new SandboxError("exhausted", message, {
    field: "download",
    mend: "pack it inside the sandbox and download the archive",
  });
}
