import { once } from "node:events";
import { cancelled, notAborted } from "../../core/validate.ts";

/** What is being brought to the Engine goes on when its first user does not wait for it: the next one has it. */
export async function untilAborted<T>(
  work: Promise<T>,
  signal: AbortSignal | undefined,
): Promise<T> {
  notAborted(signal);
  if (signal === undefined) return work;
  const over = new AbortController();
  const aborted = once(signal, "abort", { signal: over.signal }).then(
    () => Promise.reject(cancelled(signal)),
    () => work,
  );
  try {
    return await Promise.race([work, aborted]);
  } finally {
    over.abort();
  }
}
