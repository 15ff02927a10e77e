import { spawn } from "node:child_process";
import { PassThrough, type Readable } from "node:stream";
import { finished, pipeline } from "node:stream/promises";
import { SandboxError } from "../../core/errors.ts";

const environment = {
  PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
  LC_ALL: "C.UTF-8",
};
const blockBytes = 512;
/** What the places hold that are written to from the start; they are copied into memory for each machine. */
const mostSkeletonBytes = 64 * 1024 * 1024;

/** Part of a directory as a tar archive. */
interface Part {
  readonly directory: string;
  readonly names: readonly string[];
  /** Stands before every name in the archive. */
  readonly prefix?: string;
}

/** A directory as an archive, with owners as numbers, that ends with an error when it could not be read whole. */
export function archiveOf(part: Part): Readable {
  const output = new PassThrough();
  pipe(part, output).catch((cause: unknown) => output.destroy(SandboxError.from(cause)));
  return output;
}

/** Two archives as one: the first, which is small, without its end. */
export async function archiveOfBoth(first: Part, second: Part): Promise<Readable> {
  const head = await beginningOf(first);
  const output = new PassThrough();
  output.write(head);
  pipe(second, output).catch((cause: unknown) => output.destroy(SandboxError.from(cause)));
  return output;
}

async function pipe(part: Part, output: PassThrough): Promise<void> {
  const child = spawn("tar", wordsOf(part), {
    cwd: "/",
    env: environment,
    stdio: ["ignore", "pipe", "ignore"],
  });
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", resolve);
  });
  output.once("close", () => child.kill("SIGKILL"));
  await Promise.all([pipeline(child.stdout, output, { end: false }), ended]);
  if ((await ended) !== 0)
    throw new SandboxError("internal", `${part.directory} cannot be read whole`);
  output.end();
  await finished(output, { readable: false });
}

function wordsOf({ directory, names, prefix }: Part): readonly string[] {
  const renamed = prefix === undefined ? [] : [`--transform=flags=r;s,^,${prefix}/,`];
  return ["--create", "--numeric-owner", ...renamed, "--directory", directory, "--", ...names];
}

async function beginningOf(part: Part): Promise<Buffer> {
  const pieces: Buffer[] = [];
  let bytes = 0;
  const archive: AsyncIterable<Buffer> = archiveOf(part);
  for await (const chunk of archive) {
    bytes += chunk.length;
    if (bytes > mostSkeletonBytes)
      throw new SandboxError("unsupported", "template: its homes hold more than 64 MiB", {
        field: "template",
        mend: "put what is large elsewhere in the template, as below /opt",
      });
    pieces.push(chunk);
  }
  return withoutEnd(Buffer.concat(pieces));
}

/** Blocks of zeros end an archive. */
function withoutEnd(archive: Buffer): Buffer {
  let end = archive.length;
  while (end >= blockBytes && archive.subarray(end - blockBytes, end).every((byte) => byte === 0))
    end -= blockBytes;
  return archive.subarray(0, end);
}
