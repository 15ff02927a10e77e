import { PerformanceObserver } from "node:perf_hooks";
import { SandboxError } from "../core/errors.ts";
import type { Failure, ScenarioResult, SideResult } from "./report.ts";
import type { Attempt } from "./scenario.ts";
import { summarize } from "./statistics.ts";

const maxMessageCharacters = 300;

/** Which side an attempt belongs to. */
export type SideName = "ours" | "raw";

/** One attempt that is over. */
export interface AttemptMade {
  readonly side: SideName;
  /** From 0; warm-ups come first and are negative. */
  readonly index: number;
  /** `undefined`: it failed. */
  readonly value: number | undefined;
}

export interface Alternation {
  readonly ours: Attempt;
  readonly raw: Attempt | undefined;
  readonly count: number;
  readonly warmups: number;
  readonly signal: AbortSignal | undefined;
  readonly onAttempt: (made: AttemptMade) => void;
}

/** Measurements of one side, failures beside them. */
export interface Collected {
  readonly samples: readonly number[];
  readonly failures: readonly Failure[];
}

/**
 * Makes attempts on both sides in turn; who comes first changes each time.
 *
 * Warm-ups are made like the others and not kept, their failures neither. Throws only `cancelled`.
 */
export async function alternate(
  alternation: Alternation,
): Promise<{ readonly ours: Collected; readonly raw: Collected | undefined }> {
  const { ours, raw, count, warmups, signal, onAttempt } = alternation;
  const sides = { ours: collection(), raw: collection() };
  for (let index = -warmups; index < count; index += 1) {
    for (const side of orderAt(index)) {
      const attempt = side === "ours" ? ours : raw;
      if (attempt === undefined) continue;
      if (signal?.aborted === true)
        throw new SandboxError("cancelled", "the benchmark was cancelled", {
          cause: signal.reason,
        });
      const value = await tried(attempt, index, sides[side]);
      onAttempt({ side, index, value });
    }
  }
  return { ours: sides.ours, raw: raw === undefined ? undefined : sides.raw };
}

function orderAt(index: number): readonly SideName[] {
  return index % 2 === 0 ? ["ours", "raw"] : ["raw", "ours"];
}

/** One side's measurements as a report shows them. */
export function sideResult(title: string, { samples, failures }: Collected): SideResult {
  const { n, p50, p90, p99, max } = summarize(samples);
  return {
    title,
    n,
    p50: p50 ?? null,
    p90: p90 ?? null,
    p99: p99 ?? null,
    max: max ?? null,
    failures,
    samples,
  };
}

/** A thrown value as a report shows it. */
export function failureOf(cause: unknown): Failure {
  const error = SandboxError.from(cause);
  return { code: error.code, message: error.message.slice(0, maxMessageCharacters), count: 1 };
}

interface Collection extends Collected {
  readonly samples: number[];
  readonly failures: Failure[];
}

function collection(): Collection {
  return { samples: [], failures: [] };
}

async function tried(
  attempt: Attempt,
  index: number,
  kept: Collection,
): Promise<number | undefined> {
  try {
    const value = await attempt(index);
    if (index >= 0) kept.samples.push(value);
    return value;
  } catch (cause) {
    if (index >= 0) countFailure(kept.failures, failureOf(cause));
    return undefined;
  }
}

/** Failures of one code are counted together; the first one's message stays. */
function countFailure(failures: Failure[], failure: Failure): void {
  const at = failures.findIndex(({ code }) => code === failure.code);
  const earlier = failures[at];
  if (earlier === undefined) failures.push(failure);
  else failures[at] = { ...earlier, count: earlier.count + 1 };
}

/** Watches this process's garbage collector; `stop` tells what it saw. */
export function watchGarbage(): { stop(): ScenarioResult["garbage"] } {
  let pauses = 0;
  let totalMs = 0;
  const take = (entries: readonly { readonly duration: number }[]): void => {
    for (const { duration } of entries) {
      pauses += 1;
      totalMs += duration;
    }
  };
  const observer = new PerformanceObserver((list) => take(list.getEntries()));
  observer.observe({ entryTypes: ["gc"] });
  return {
    stop() {
      take(observer.takeRecords());
      observer.disconnect();
      return { pauses, totalMs };
    },
  };
}
