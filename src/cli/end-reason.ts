import type { CodeError } from "../core/code.ts";
import type { EndReason } from "../core/driver.ts";
import { SandboxError } from "../core/errors.ts";

const waitMs = 500;

/** A sandbox that was lost because its memory ran out is an out-of-memory, not a riddle; other errors stay as they are. */
export async function withEndReason(
  cause: unknown,
  ended: Promise<EndReason>,
): Promise<SandboxError> {
  const error = SandboxError.from(cause);
  if (error.code !== "lost") return error;
  return (await endsOutOfMemory(ended)) ? outOfMemory(error) : error;
}

/** Throws `out-of-memory` for a kernel that was only the first to go when the sandbox's memory ran out. */
export async function refuseMemoryLoss(
  error: CodeError | undefined,
  ended: Promise<EndReason>,
): Promise<void> {
  if (error?.name === "KernelDied" && (await endsOutOfMemory(ended))) throw outOfMemory(error);
}

async function endsOutOfMemory(ended: Promise<EndReason>): Promise<boolean> {
  return (await Promise.race([ended, soon()])) === "out-of-memory";
}

function outOfMemory(cause: unknown): SandboxError {
  return new SandboxError("out-of-memory", "the sandbox's memory ran out", {
    field: "resources.memoryMiB",
    mend: "give it more with --memory",
    cause,
  });
}

function soon(): Promise<undefined> {
  return new Promise((resolve) => {
    setTimeout(resolve, waitMs, undefined);
  });
}
