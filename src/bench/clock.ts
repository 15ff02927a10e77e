import { SandboxError } from "../core/errors.ts";

const askAgainMs = 2;
const patienceMs = 30_000;

/** Milliseconds on the monotonic clock, with nanoseconds behind the point. */
export function clock(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

/** How long an action takes. Milliseconds. */
export async function timed(act: () => Promise<unknown>): Promise<number> {
  const startedAtMs = clock();
  await act();
  return clock() - startedAtMs;
}

export function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, milliseconds);
  });
}

/** Asks again and again, 2 ms apart. Throws `timed-out` with `otherwise` after 30 s. */
export async function waitUntil(holds: () => Promise<boolean>, otherwise: string): Promise<void> {
  const startedAtMs = clock();
  while (!(await holds())) {
    if (clock() - startedAtMs > patienceMs)
      throw new SandboxError("timed-out", `${otherwise} after ${patienceMs} ms`);
    await pause(askAgainMs);
  }
}
