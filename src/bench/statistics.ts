/** What a list of measurements says. `undefined` where there is none. */
export interface Summary {
  readonly n: number;
  readonly p50: number | undefined;
  readonly p90: number | undefined;
  readonly p99: number | undefined;
  readonly max: number | undefined;
}

/** How much larger one side's median is than the other's, with the interval in which 95 % of resampled ratios lie. */
export interface Ratio {
  readonly p50: number;
  readonly low: number;
  readonly high: number;
}

const resamples = 1000;
const tail = 0.025;

/** Raw percentiles: each is one of the measurements (nearest rank), none is left out. */
export function summarize(samples: readonly number[]): Summary {
  const sorted = ascending(samples);
  return {
    n: sorted.length,
    p50: percentile(sorted, 0.5),
    p90: percentile(sorted, 0.9),
    p99: percentile(sorted, 0.99),
    max: sorted.at(-1),
  };
}

/** The smallest measurement that is not below the given share of all. The list must be sorted. */
export function percentile(sorted: readonly number[], share: number): number | undefined {
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)];
}

/** The ratio of medians. The same samples give the same interval. `undefined` when a side is empty or its median 0. */
export function ratioOf(ours: readonly number[], raw: readonly number[]): Ratio | undefined {
  const between = medianRatio(ascending(ours), ascending(raw));
  if (between === undefined) return undefined;
  const random = sequence(ours.length * 31 + raw.length);
  const ratios: number[] = [];
  for (let round = 0; round < resamples; round += 1) {
    const ratio = medianRatio(resampled(ours, random), resampled(raw, random));
    if (ratio !== undefined) ratios.push(ratio);
  }
  const sorted = ascending(ratios);
  return {
    p50: between,
    low: percentile(sorted, tail) ?? between,
    high: percentile(sorted, 1 - tail) ?? between,
  };
}

function medianRatio(ours: readonly number[], raw: readonly number[]): number | undefined {
  const above = percentile(ours, 0.5);
  const below = percentile(raw, 0.5);
  return above === undefined || below === undefined || below === 0 ? undefined : above / below;
}

function ascending(samples: readonly number[]): readonly number[] {
  return samples.toSorted((left, right) => left - right);
}

function resampled(samples: readonly number[], random: () => number): readonly number[] {
  return ascending(samples.map(() => samples[Math.floor(random() * samples.length)] ?? Number.NaN));
}

/** Numbers from 0 to below 1, the same ones for the same seed (mulberry32). */
function sequence(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
