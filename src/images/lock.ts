import { mkdir, open, stat, type FileHandle } from "node:fs/promises";
import { dirname } from "node:path";
import { SandboxError } from "../core/errors.ts";
import { isMissing } from "./file-errors.ts";
import { hostCommand } from "./host-command.ts";

/** An exclusive lock among processes. It dies with the last process that holds its descriptor, however that ends. */
export interface Lock extends AsyncDisposable {
  /** For handing on to a program that must be gone before the lock is free. */
  readonly descriptor: number;
}

export interface LockOptions {
  readonly signal?: AbortSignal | undefined;
  /** Called once when somebody else holds it, before waiting. `"refuse"`: do not wait. */
  readonly whenHeld: (() => void) | "refuse";
}

/** Takes the lock of a file, which it makes. Throws `conflict` (held, and `"refuse"`), `cancelled`. */
export async function lock(file: string, options: LockOptions): Promise<Lock> {
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  for (;;) {
    const handle = await open(file, "a", 0o600);
    try {
      await acquire(handle, options);
      if (await isCurrent(handle, file)) return held(handle);
    } catch (error) {
      await handle.close();
      throw error;
    }
    await handle.close();
  }
}

function held(handle: FileHandle): Lock {
  return {
    descriptor: handle.fd,
    [Symbol.asyncDispose]: () => handle.close(),
  };
}

/** The lock belongs to the open file, so it stays when `flock` has exited. */
async function acquire(handle: FileHandle, { signal, whenHeld }: LockOptions): Promise<void> {
  const descriptor = handle.fd;
  const tried = await hostCommand(["flock", "--exclusive", "--nonblock", "3"], {
    signal,
    descriptor,
  });
  if (tried.exitCode === 0) return;
  if (whenHeld === "refuse")
    throw new SandboxError("conflict", "somebody else is at work on it", {
      mend: "try again when that is done",
    });
  whenHeld();
  const waited = await hostCommand(["flock", "--exclusive", "3"], { signal, descriptor });
  if (waited.exitCode !== 0)
    throw new SandboxError("internal", `flock failed: ${waited.lines.join(" ")}`);
}

/** Whether the path still names the file that was locked. */
async function isCurrent(handle: FileHandle, file: string): Promise<boolean> {
  try {
    const [own, named] = await Promise.all([handle.stat(), stat(file)]);
    return own.ino === named.ino && own.dev === named.dev;
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}
