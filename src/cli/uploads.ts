import { createReadStream, type Dirent } from "node:fs";
import { readdir, readFile, stat } from "node:fs/promises";
import { join, posix } from "node:path";
import { Readable } from "node:stream";
import type { Files } from "../core/files.ts";
import { invalid } from "../core/validate.ts";
import { hostFileError } from "./host-files.ts";
import type { Transfer } from "./transfer-paths.ts";

/** What an upload did. */
export interface Uploaded {
  readonly files: number;
  /** Paths that were left out: symbolic links, sockets and devices inside a directory. */
  readonly leftOut: readonly string[];
}

interface Upload {
  readonly files: Files;
  readonly signal: AbortSignal;
  readonly leftOut: string[];
  count: number;
}

const smallBytes = 1_048_576;
const batchBytes = 16 * 1_048_576;

/** Throws when a path to be uploaded is not there, before anything is started. */
export async function checkUploads(transfers: readonly Transfer[]): Promise<void> {
  for (const { local } of transfers) await typeOf(local);
}

/** Copies files and directories of the host into a sandbox. Throws `not-found` and `denied` with the path, `disk-full`. */
export async function upload(
  files: Files,
  transfers: readonly Transfer[],
  signal: AbortSignal,
): Promise<Uploaded> {
  const state: Upload = { files, signal, leftOut: [], count: 0 };
  for (const transfer of transfers) {
    if ((await typeOf(transfer.local)) === "directory") await uploadDirectory(state, transfer);
    else await uploadFile(state, transfer);
  }
  return { files: state.count, leftOut: state.leftOut };
}

async function typeOf(local: string): Promise<"file" | "directory"> {
  try {
    const facts = await stat(local);
    if (facts.isDirectory()) return "directory";
    if (facts.isFile() || facts.isFIFO()) return "file";
  } catch (cause) {
    throw hostFileError("upload", local, cause);
  }
  throw invalid(
    "upload",
    `${local} is neither a file nor a directory`,
    "copy what it holds into a file",
  );
}

async function uploadDirectory(state: Upload, { local, remote }: Transfer): Promise<void> {
  await state.files.makeDir(remote, { signal: state.signal });
  let batch: { readonly path: string; readonly data: Uint8Array }[] = [];
  let batched = 0;
  const send = async (): Promise<void> => {
    if (batch.length > 0) await state.files.writeMany(batch, { signal: state.signal });
    state.count += batch.length;
    batch = [];
    batched = 0;
  };
  for (const entry of await entriesOf(local)) {
    const inside = { local: join(local, entry.name), remote: posix.join(remote, entry.name) };
    if (entry.isDirectory()) await uploadDirectory(state, inside);
    else if (!entry.isFile()) state.leftOut.push(inside.local);
    else {
      const data = await smallFile(inside.local);
      if (data === undefined) await uploadFile(state, inside);
      else batched += batch.push({ path: inside.remote, data }) && data.length;
    }
    if (batched > batchBytes || batch.length >= 256) await send();
  }
  await send();
}

async function entriesOf(local: string): Promise<readonly Dirent[]> {
  try {
    return await readdir(local, { withFileTypes: true });
  } catch (cause) {
    throw hostFileError("upload", local, cause);
  }
}

/** A file's bytes when they are few. */
async function smallFile(local: string): Promise<Uint8Array | undefined> {
  try {
    return (await stat(local)).size <= smallBytes ? await readFile(local) : undefined;
  } catch (cause) {
    throw hostFileError("upload", local, cause);
  }
}

async function uploadFile(state: Upload, { local, remote }: Transfer): Promise<void> {
  const source = createReadStream(local, { highWaterMark: 262_144 });
  let failed: unknown;
  source.on("error", (cause) => {
    failed = cause;
  });
  try {
    const stream = Readable.toWeb(source) as ReadableStream<Uint8Array>;
    await state.files.write(remote, stream, { signal: state.signal });
    state.count += 1;
  } catch (cause) {
    throw failed === undefined ? cause : hostFileError("upload", local, failed);
  } finally {
    source.destroy();
  }
}
