import type { EndReason } from "../core/driver.ts";
import { SandboxError } from "../core/errors.ts";

const standardPatienceMs = 1000;

const sentences: Readonly<Record<EndReason, string>> = {
  killed: "it was killed",
  lifetime: "its lifetime was over",
  idle: "nobody used it for its idle time-out",
  "owner-gone": "the process that owned it ended",
  exited: "its first process ended",
  "out-of-memory": "its memory ran out",
  "runtime-lost": "its runtime is gone",
};

const mends: Partial<Readonly<Record<EndReason, string>>> = {
  lifetime: "give it a longer lifetimeMs, or call setTimeout in time",
  idle: "give it a longer idleTimeoutMs",
  "out-of-memory": "give it more resources.memoryMiB",
};

/** The error for a sandbox that has ended. */
export function endedError(id: string, reason: EndReason, cause?: unknown): SandboxError {
  const mend = mends[reason];
  const details = mend === undefined ? { cause } : { cause, mend };
  return new SandboxError("lost", `the sandbox ${id} has ended: ${sentences[reason]}`, details);
}

/** The error for a call of a paused sandbox. */
export function pausedError(id: string, cause?: unknown): SandboxError {
  return new SandboxError("conflict", `the sandbox ${id} is paused`, { cause, mend: "resume it" });
}

/** Whether a machine runs, is paused, or has ended. */
export interface Whereabouts {
  readonly ended: Promise<EndReason>;
  readonly isPaused: boolean;
  /** Finds out whether it is paused; absent where that is always known. */
  readonly look?: () => Promise<void>;
  /** Throws `conflict` while the machine is paused. */
  admit(): Promise<void>;
}

/** What tells a broken connection from an ended machine. */
export interface Lifeline {
  readonly id: string;
  readonly ended: Promise<EndReason>;
  /** Throws `conflict` while the machine is paused. */
  admit(): Promise<void>;
  /** The error for a connection that broke, or an answer that says so: waits a moment to hear whether the machine has ended, and why. */
  explain(cause: unknown): Promise<SandboxError>;
}

/** A lifeline; a broken connection waits for `patienceMs` to hear why. */
export function lifeline(
  id: string,
  presence: Whereabouts,
  patienceMs: number = standardPatienceMs,
): Lifeline {
  return {
    id,
    ended: presence.ended,
    admit: () => presence.admit(),
    async explain(cause) {
      if (cause instanceof SandboxError) return doubted(cause);
      if (isHttpViolation(cause))
        return new SandboxError("untrusted", "the sandbox sent what is not HTTP", { cause });
      if (presence.isPaused) return pausedError(id, cause);
      const reason = await within(presence.ended, patienceMs);
      if (reason !== undefined) return endedError(id, reason, cause);
      if (presence.isPaused) return pausedError(id, cause);
      return doubted(
        new SandboxError("lost", `the connection to the sandbox ${id} was cut`, { cause }),
      );
    },
  };

  /** What seems to be lost may be paused. */
  async function doubted(error: SandboxError): Promise<SandboxError> {
    if (error.code !== "lost" || presence.look === undefined) return error;
    await presence.look();
    return presence.isPaused ? pausedError(id, error) : error;
  }
}

function isHttpViolation(cause: unknown): boolean {
  return (
    cause instanceof Error &&
    "code" in cause &&
    typeof cause.code === "string" &&
    cause.code.startsWith("HPE_")
  );
}

/** What the promise gives within this long; `undefined` otherwise. */
async function within<T>(promise: Promise<T>, milliseconds: number): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(resolve, milliseconds, undefined);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
