import type { BenchReport, ScenarioResult } from "./report.ts";
import { ratioOf } from "./statistics.ts";
import { factsLine, shown } from "./table.ts";

/** How far a ratio must be from 1 before it is called a change. */
const threshold = 0.05;

/** One scenario, then and now. */
export interface Change {
  readonly driver: string;
  readonly scenario: string;
  readonly verdict: "faster" | "slower" | "same" | "unknown";
  /** For a reader. */
  readonly text: string;
}

/**
 * What changed between two reports, for each scenario that both have.
 *
 * A change is one that chance does not explain: the interval of the ratio of medians lies beside 1 and the ratio differs
 * by 5 %. `unknown`: a side has no measurements.
 */
export function compareReports(before: BenchReport, after: BenchReport): readonly Change[] {
  return after.results.flatMap((now) => {
    const then = before.results.find(
      ({ driver, scenario }) => driver === now.driver && scenario === now.scenario,
    );
    return then === undefined ? [] : [changeOf(then, now)];
  });
}

/** The changes for a terminal; says when the machines differ. */
export function comparisonText(before: BenchReport, after: BenchReport): string {
  const machines = [factsLine(before.facts), factsLine(after.facts)];
  const warning =
    machines[0] === machines[1]
      ? []
      : [
          "The machines differ, so only the ratios to the raw runtime can be compared:",
          ...machines,
        ];
  const lines = compareReports(before, after).map(
    ({ driver, scenario, verdict, text }) => `${driver} ${scenario}: ${verdict}: ${text}`,
  );
  return `${[...warning, ...lines].join("\n")}\n`;
}

function changeOf(then: ScenarioResult, now: ScenarioResult): Change {
  const { driver, scenario, unit } = now;
  const ratio = ratioOf(now.ours.samples, then.ours.samples);
  const medians = `p50 ${shown(then.ours.p50, unit) || "none"} then, ${shown(now.ours.p50, unit) || "none"} now`;
  const text = `${medians}; to raw ${ratioText(then)} then, ${ratioText(now)} now`;
  return { driver, scenario, verdict: verdictOf(ratio), text };
}

function verdictOf(ratio: ReturnType<typeof ratioOf>): Change["verdict"] {
  if (ratio === undefined) return "unknown";
  if (ratio.low > 1 && ratio.p50 > 1 + threshold) return "slower";
  if (ratio.high < 1 && ratio.p50 < 1 - threshold) return "faster";
  return "same";
}

function ratioText({ ratio }: ScenarioResult): string {
  return ratio === null ? "unknown" : ratio.p50.toFixed(2);
}
