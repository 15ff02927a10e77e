/** A row of numbers that a seed decides, so that a round can be repeated. */
export interface Chance {
  /** A whole number from `least` to `most`. */
  between(least: number, most: number): number;
  oneOf<T>(values: readonly T[]): T | undefined;
  /** Another row, of its own, for somebody who works beside. */
  branch(): Chance;
}

/** Mulberry32: small, and good enough to choose instants. */
export function chance(seed: number): Chance {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (mixed ^ (mixed >>> 14)) >>> 0;
  };
  const between = (least: number, most: number): number => least + (next() % (most - least + 1));
  return {
    between,
    oneOf: (values) => values[next() % Math.max(1, values.length)],
    branch: () => chance(next()),
  };
}
