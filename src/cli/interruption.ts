import { SandboxError } from "../core/errors.ts";

/** Why the command line stops before its work is done: a signal to it, or a reader that left. */
export class Interrupted extends SandboxError {
  /** As a shell says it: 128 and the signal's number. */
  readonly exitCode: number;

  constructor(signal: keyof typeof numbers) {
    super("cancelled", `interrupted by ${signal}`);
    this.exitCode = 128 + numbers[signal];
  }
}

const numbers = { SIGHUP: 1, SIGINT: 2, SIGPIPE: 13, SIGTERM: 15 };

export interface Interruption {
  /** Aborts at the first signal; its reason is an Interrupted. */
  readonly signal: AbortSignal;
  interrupt(by: keyof typeof numbers): void;
  /** From now on a hang-up means this, and interrupts nothing. */
  onHangUp(act: () => void): void;
}

/**
 * Turns the first signal into an abort, so that everything is given back, and a second one into an immediate exit.
 *
 * A window that was closed breaks the outputs, too, and hangs up: neither of them counts as the impatience of a second signal.
 */
export function interruption(): Interruption {
  const controller = new AbortController();
  const interrupt = (by: keyof typeof numbers): void => {
    if (!controller.signal.aborted) controller.abort(new Interrupted(by));
  };
  let asked = false;
  for (const name of ["SIGINT", "SIGTERM"] as const)
    process.on(name, () => {
      if (asked) process.exit(128 + numbers[name]);
      asked = true;
      interrupt(name);
    });
  let hangUp = (): void => interrupt("SIGHUP");
  process.on("SIGHUP", () => hangUp());
  return {
    signal: controller.signal,
    interrupt,
    onHangUp(act) {
      hangUp = act;
    },
  };
}

/** What the promise gives, unless the signal aborts before: then what is done goes on, and nobody waits for it. */
export async function untilAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  const waiting = new AbortController();
  const aborted = new Promise<never>((_, reject) => {
    const refuse = (): void => reject(SandboxError.from(signal.reason));
    if (signal.aborted) refuse();
    else signal.addEventListener("abort", refuse, { once: true, signal: waiting.signal });
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    waiting.abort();
  }
}

/** The interruption that an abort was, if it was one. */
export function interruptedBy(signal: AbortSignal): Interrupted | undefined {
  return signal.aborted && signal.reason instanceof Interrupted ? signal.reason : undefined;
}
