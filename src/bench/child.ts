import { type ChildProcess, type StdioOptions, spawn } from "node:child_process";
import { SandboxError } from "../core/errors.ts";
import { clock } from "./clock.ts";

const maxErrorCharacters = 2000;

/** A program of the host that is being measured. */
export interface Child {
  readonly process: ChildProcess;
  /** When it was asked for, on `clock`. */
  readonly startedAtMs: number;
  /** When its first byte of output came, on `clock`. Rejects with `lost` when it ended before. */
  readonly firstByteAtMs: Promise<number>;
  /** When it had ended and its output was read, on `clock`. Rejects with `exited` for an exit code that is not 0. */
  readonly endedAtMs: Promise<number>;
}

/** Starts a program. Its input is a pipe when `input` says so, and empty else. */
export function startChild(argv: readonly string[], input: "pipe" | "ignore" = "ignore"): Child {
  const [program = "", ...rest] = argv;
  const stdio: StdioOptions = [input, "pipe", "pipe"];
  const startedAtMs = clock();
  const child = spawn(program, rest, { stdio });
  let told = "";
  child.stderr?.on("data", (chunk: Buffer) => {
    if (told.length < maxErrorCharacters) told += chunk.toString();
  });
  const firstByteAtMs = new Promise<number>((resolve, reject) => {
    child.stdout?.once("data", () => resolve(clock()));
    child.once("error", (cause) => reject(notStarted(program, cause)));
    child.once("close", () =>
      reject(new SandboxError("lost", `${program} ended without output: ${told.trim()}`)),
    );
  });
  const endedAtMs = new Promise<number>((resolve, reject) => {
    child.once("error", (cause) => reject(notStarted(program, cause)));
    child.once("close", (code, signal) => {
      if (code === 0) resolve(clock());
      else reject(new SandboxError("exited", `${program}: ${signal ?? code}: ${told.trim()}`));
    });
  });
  firstByteAtMs.catch(() => undefined);
  endedAtMs.catch(() => undefined);
  return { process: child, startedAtMs, firstByteAtMs, endedAtMs };
}

/** Runs a program to its end. Throws `exited` for an exit code that is not 0. Milliseconds. */
export async function timeToEnd(argv: readonly string[]): Promise<number> {
  const child = startChild(argv);
  return (await child.endedAtMs) - child.startedAtMs;
}

function notStarted(program: string, cause: Error): SandboxError {
  return new SandboxError("unavailable", `${program} cannot be started: ${cause.message}`, {
    cause,
  });
}
