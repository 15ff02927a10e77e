import { statSync } from "node:fs";
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { join } from "node:path";
import { SandboxError } from "../../core/errors.ts";
import { judgeVersion } from "./versions.ts";

export interface RuntimeProgram {
  /** Paths or names, the first that exists is taken. */
  readonly candidates: readonly string[];
  /** Finds the version in what `--version` prints, as its first group. */
  readonly version: RegExp;
  /** What installs it. */
  readonly mend: string;
}

/** A runtime that may be used. */
export interface Runtime {
  readonly path: string;
  readonly version: string;
  /** CVE of each known escape that was overridden. */
  readonly overridden: readonly string[];
}

export interface RuntimeWanted {
  readonly driver: string;
  readonly program: RuntimeProgram;
  readonly allowKnownEscapes: boolean;
}

/** Where programs are looked for; the caller's own PATH has no say in what runs as root. */
const searched = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];
const versionTimeoutMs = 10_000;
const run = promisify(execFile);

/**
 * Finds and judges a runtime, and again whenever its file has changed.
 *
 * Throws `unavailable` with the mend when there is none that may be used: not installed, not starting, with a known escape.
 */
export function runtimeFinder(wanted: RuntimeWanted): () => Promise<Runtime> {
  let known: { readonly signature: string; readonly runtime: Promise<Runtime> } | undefined;
  return () => {
    const path = findProgram(wanted);
    const signature = signatureOf(path);
    if (known?.signature !== signature) known = { signature, runtime: judged(wanted, path) };
    return known.runtime;
  };
}

function findProgram({ program, driver }: RuntimeWanted): string {
  const places = program.candidates.flatMap((name) =>
    name.startsWith("/") ? [name] : searched.map((directory) => join(directory, name)),
  );
  const found = places.find(isExecutable);
  if (found !== undefined) return found;
  throw new SandboxError("unavailable", `the runtime of ${driver} is not installed`, {
    mend: program.mend,
  });
}

function isExecutable(path: string): boolean {
  const file = statSync(path, { throwIfNoEntry: false });
  return file?.isFile() === true && (file.mode & 0o111) !== 0;
}

function signatureOf(path: string): string {
  const { ino, size, mtimeMs, ctimeMs } = statSync(path);
  return [path, ino, size, mtimeMs, ctimeMs].join(" ");
}

async function judged(wanted: RuntimeWanted, path: string): Promise<Runtime> {
  const { driver, program, allowKnownEscapes } = wanted;
  const version = await versionOf(path, program);
  const { escapes, reason } = judgeVersion(driver, version);
  if (reason === undefined) return { path, version, overridden: [] };
  if (allowKnownEscapes && escapes.length > 0) return { path, version, overridden: escapes };
  throw new SandboxError("unavailable", `${path}: ${reason}`, { mend: program.mend });
}

async function versionOf(path: string, program: RuntimeProgram): Promise<string> {
  try {
    const { stdout } = await run(path, ["--version"], {
      env: {},
      cwd: "/",
      timeout: versionTimeoutMs,
      maxBuffer: 64 * 1024,
    });
    return program.version.exec(stdout)?.[1] ?? "";
  } catch (cause) {
    throw new SandboxError("unavailable", `${path} does not start`, { cause, mend: program.mend });
  }
}
