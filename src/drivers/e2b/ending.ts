import type { EndReason } from "../../core/driver.ts";

/** The end of a sandbox: the first reason counts. */
export interface Ending {
  readonly ended: Promise<EndReason>;
  /** Aborts with the end. */
  readonly signal: AbortSignal;
  readonly end: (reason: EndReason) => void;
}

export function ending(): Ending {
  const over = new AbortController();
  let first: EndReason | undefined;
  const ended = new Promise<EndReason>((resolve) => {
    over.signal.addEventListener("abort", () => resolve(first ?? "runtime-lost"), { once: true });
  });
  return {
    ended,
    signal: over.signal,
    end(reason) {
      first ??= reason;
      over.abort();
    },
  };
}

/** Joins who asks while it is being done; what failed may be asked for again. */
export function oneAtATime(act: () => Promise<void>): () => Promise<void> {
  let doing: Promise<void> | undefined;
  return () =>
    (doing ??= act().finally(() => {
      doing = undefined;
    }));
}

/** Waits, but not beyond the signal; does not keep this process alive. Milliseconds. */
export function rest(delayMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, delayMs).unref();
    if (signal.aborted) done();
    else signal.addEventListener("abort", done, { once: true });
  });
}
