import type { ScenarioResult } from "./report.ts";
import type { BenchEvent } from "./run.ts";
import { factsLine, shown } from "./table.ts";

/** What is worth saying of an event, for whoever waits; `undefined` for what changes too fast to be read. */
export function progressLine(event: BenchEvent): string | undefined {
  if (event.type === "machine") return factsLine(event.facts);
  if (event.type === "result") return resultLine(event.result);
  const said = saidOf(event);
  return said === undefined ? undefined : `${event.driver} ${event.scenario}: ${said}`;
}

function saidOf(
  event: Exclude<BenchEvent, { readonly type: "machine" | "result" }>,
): string | undefined {
  if (event.type === "note") return event.text;
  if (event.type === "scenario")
    return `${event.warmups} warm-ups and ${event.count} attempts on each side`;
  const { value, index, side } = event.made;
  return value === undefined ? `attempt ${index} (${side}) failed` : undefined;
}

function resultLine(result: ScenarioResult): string {
  const { driver, scenario, ours, raw, unit, ratio, problem } = result;
  if (problem !== undefined) return `${driver} ${scenario}: ${problem.code}: ${problem.message}`;
  const beside =
    raw === null ? "" : `, raw ${shown(raw.p50, unit)}, ratio ${ratio?.p50.toFixed(2) ?? "-"}`;
  return `${driver} ${scenario}: p50 ${shown(ours.p50, unit)}${beside}`;
}
