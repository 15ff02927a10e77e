import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { SandboxError } from "../core/errors.ts";
import { isMissing } from "./file-errors.ts";

/** A file of which every byte is known. */
export interface KnownFile {
  readonly path: string;
  /** In hexadecimal digits. */
  readonly sha256: string;
}

/** Files by what they were like when their digests were found right. */
const seen: Map<string, string> = new Map();

/**
 * Makes sure that a file is what was noted, and returns its path.
 *
 * It is read once by each process, and again whenever it was touched: whatever writes to it changes its times, which nobody can
 * set back. Throws `untrusted`, with `mend`.
 */
export async function verified({ path, sha256 }: KnownFile, mend: string): Promise<string> {
  const before = await signature(path, mend);
  if (seen.get(path) === `${before} ${sha256}`) return path;
  if ((await sha256Of(path)) !== sha256)
    throw new SandboxError("untrusted", `${path} is not what was noted when it was made`, { mend });
  seen.set(path, `${before} ${sha256}`);
  return path;
}

async function signature(path: string, mend: string): Promise<string> {
  try {
    const { dev, ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true });
    return [dev, ino, size, mtimeNs, ctimeNs].join(" ");
  } catch (cause) {
    if (!isMissing(cause)) throw cause;
    throw new SandboxError("untrusted", `${path} is gone`, { cause, mend });
  }
}

export async function sha256Of(path: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(chunk);
  return hash.digest("hex");
}
