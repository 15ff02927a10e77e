import type { ScenarioResult } from "./report.ts";
import type { BenchEvent } from "./run.ts";
import { factsLine, shown } from "./table.ts";

/** What is worth saying of an event, for whoever waits; `undefined` for what changes too fast to be read. */
export function progressLine(event: BenchEvent): string | undefined {
  switch (event.type) {
    case "machine":
      return factsLine(event.facts);
    case "scenario":
      return `${event.driver} ${event.scenario}: ${event.warmups} warm-ups and ${event.count} attempts on each side`;
    case "note":
      return `${event.driver} ${event.scenario}: ${event.text}`;
    case "attempt":
      return event.made.value === undefined
        ? `${event.driver} ${event.scenario}: attempt ${event.made.index} (${event.made.side}) failed`
        : undefined;
    case "result":
      return resultLine(event.result);
  }
}

function resultLine(result: ScenarioResult): string {
  const { driver, scenario, ours, raw, unit, ratio, problem } = result;
  if (problem !== undefined) return `${driver} ${scenario}: ${problem.code}: ${problem.message}`;
  const beside =
    raw === null ? "" : `, raw ${shown(raw.p50, unit)}, ratio ${ratio?.p50.toFixed(2) ?? "-"}`;
  return `${driver} ${scenario}: p50 ${shown(ours.p50, unit)}${beside}`;
}
