/** Does work in its turn. */
export type InTurn = <T>(work: () => Promise<T>) => Promise<T>;

/** Lets so many work at once; who comes later waits, and is served in order. */
export function atMost(limit: number): InTurn {
  const waiting: (() => void)[] = [];
  let working = 0;
  return async (work) => {
    if (working >= limit) await new Promise<void>((resolve) => waiting.push(resolve));
    else working += 1;
    try {
      return await work();
    } finally {
      const next = waiting.shift();
      if (next === undefined) working -= 1;
      else next();
    }
  };
}

/** How many sandboxes are ended at once on a host of so many processors: an end is work of the kernel's, which gains nothing by more. */
export function endsAtOnce(processors: number): number {
  return Math.min(16, Math.max(2, 2 * processors));
}
