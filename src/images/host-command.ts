import { spawn } from "node:child_process";
import type { Readable } from "node:stream";
import { SandboxError } from "../core/errors.ts";
import { cancelled, notAborted } from "../core/validate.ts";

/** Where the host's own tools are; also what they see as their environment, so that the caller's cannot change them. */
const environment = {
  PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
  LC_ALL: "C.UTF-8",
  HOME: "/root",
};
const keptLines = 40;
const longestLine = 2000;

export interface HostCommandOptions {
  /** Kills the program; everything that it started dies with it when it is a namespace's first process. */
  readonly signal?: AbortSignal | undefined;
  /** Each line of standard output and standard error as it comes, cut at 2,000 characters. */
  readonly onLine?: (line: string) => void;
  /** A descriptor that the program gets as its number 3. */
  readonly descriptor?: number | undefined;
}

export interface HostCommandResult {
  /** `undefined`: ended by a signal. */
  readonly exitCode: number | undefined;
  /** The last 40 lines of output. */
  readonly lines: readonly string[];
}

/**
 * Runs one of the host's tools to its end, in a session of its own.
 *
 * Returns when every process that holds its output is gone. Throws `unavailable` when it is not installed and
 * `cancelled` when the signal aborts.
 */
export async function hostCommand(
  argv: readonly [string, ...string[]],
  options: HostCommandOptions = {},
): Promise<HostCommandResult> {
  const { signal, onLine, descriptor } = options;
  notAborted(signal);
  const child = spawn(argv[0], argv.slice(1), {
    env: environment,
    cwd: "/",
    detached: true,
    stdio: ["ignore", "pipe", "pipe", descriptor ?? "ignore"],
  });
  const lines: string[] = [];
  const take = (line: string): void => {
    lines.push(line);
    if (lines.length > keptLines) lines.shift();
    onLine?.(line);
  };
  const kill = (): boolean => child.kill("SIGKILL");
  signal?.addEventListener("abort", kill, { once: true });
  try {
    const ended = new Promise<number | undefined>((resolve, reject) => {
      child.once("error", reject);
      child.once("close", (code) => resolve(code ?? undefined));
    });
    const read = [child.stdout, child.stderr].map((stream) => readLines(stream, take));
    const [exitCode] = await Promise.all([ended, ...read]);
    if (signal?.aborted === true) throw cancelled(signal);
    return { exitCode, lines };
  } catch (error) {
    throw spawnError(argv[0], error);
  } finally {
    signal?.removeEventListener("abort", kill);
  }
}

/** Keeps no more of a line than its longest allowed part, however long it is. */
async function readLines(stream: Readable | null, take: (line: string) => void): Promise<void> {
  if (stream === null) return;
  let rest = "";
  for await (const chunk of stream.setEncoding("utf8")) {
    const pieces = (rest + String(chunk)).split("\n");
    rest = (pieces.pop() ?? "").slice(0, longestLine);
    for (const line of pieces) take(line.slice(0, longestLine));
  }
  if (rest !== "") take(rest);
}

function spawnError(program: string, error: unknown): unknown {
  if (!(error instanceof Error) || !("code" in error) || error.code !== "ENOENT") return error;
  return new SandboxError("unavailable", `${program} is not installed`, {
    cause: error,
    mend: `install it: apt-get install ${packages[program] ?? program}`,
  });
}

const packages: Readonly<Record<string, string>> = {
  "mkfs.ext4": "e2fsprogs",
  "mkfs.erofs": "erofs-utils",
  "dpkg-deb": "dpkg",
  flock: "util-linux",
  setpriv: "util-linux",
  "apt-get": "apt",
};
