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
