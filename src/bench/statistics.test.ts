import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { percentile, ratioOf, summarize } from "./statistics.ts";

const samples = fc.array(fc.double({ min: 0.001, max: 1e6, noNaN: true }), {
  minLength: 1,
  maxLength: 60,
});

function noisy(middle: number): readonly number[] {
  return Array.from({ length: 50 }, (_, index) => middle + (index % 7));
}

describe("percentiles", () => {
  test("are measurements that were made, and so many of them are not above", () => {
    fc.assert(
      fc.property(samples, fc.constantFrom(0.5, 0.9, 0.99), (values, share) => {
        const sorted = values.toSorted((left, right) => left - right);
        const found = percentile(sorted, share);
        expect(values).toContain(found);
        const notAbove = values.filter((value) => value <= (found ?? Number.NaN)).length;
        expect(notAbove).toBeGreaterThanOrEqual(share * values.length);
      }),
    );
  });

  test("of one to a hundred are what the words say", () => {
    const hundred = Array.from({ length: 100 }, (_, index) => 100 - index);
    expect(summarize(hundred)).toEqual({ n: 100, p50: 50, p90: 90, p99: 99, max: 100 });
  });

  test("keep the slowest measurement", () => {
    const { p50, max } = summarize([1, 1, 1, 5000]);
    expect([p50, max]).toEqual([1, 5000]);
  });

  test("of nothing are unknown", () => {
    expect(summarize([])).toEqual({
      n: 0,
      p50: undefined,
      p90: undefined,
      p99: undefined,
      max: undefined,
    });
  });
});

describe("the ratio of two sides", () => {
  test("is that of their medians, inside its interval, and the same each time", () => {
    fc.assert(
      fc.property(samples, samples, (ours, raw) => {
        const ratio = ratioOf(ours, raw);
        expect(ratio).toBeDefined();
        if (ratio === undefined) return;
        expect(ratio.p50).toBeCloseTo((summarize(ours).p50 ?? 0) / (summarize(raw).p50 ?? 1), 10);
        expect(ratio.low).toBeLessThanOrEqual(ratio.high);
        expect(ratioOf(ours, raw)).toEqual(ratio);
      }),
      { numRuns: 20 },
    );
  });

  test("knows a clear difference from chance", () => {
    expect(ratioOf(noisy(200), noisy(100))?.low).toBeGreaterThan(1.8);
    const same = ratioOf(noisy(100), noisy(100));
    expect(same?.low).toBeLessThanOrEqual(1);
    expect(same?.high).toBeGreaterThanOrEqual(1);
  });

  test("is unknown when a side has no measurement", () => {
    expect(ratioOf([], [1])).toBeUndefined();
    expect(ratioOf([1], [])).toBeUndefined();
  });
});
