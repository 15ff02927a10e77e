import type { BenchReport, Failure, MachineFacts, ScenarioResult, SideResult } from "./report.ts";

const headings = ["driver", "scenario", "", "p50", "p90", "p99", "max", "n", "failed", "ratio"];
const alignments = headings.map((_, index) => (index < 3 ? "left" : "right"));

/** A report as a Markdown table, with the machine's facts and what is to be known of the figures. */
export function markdownReport(report: BenchReport): string {
  const rows = report.results.flatMap(rowsOf).map(markdownRow);
  const lines = [
    factsLine(report.facts),
    "",
    markdownRow(headings),
    markdownRow(alignments.map((side) => (side === "right" ? "---:" : "---"))),
    ...rows,
    "",
    ...notesOf(report).map((note) => `- ${note}`),
  ];
  return `${lines.join("\n")}\n`;
}

/** The same for a terminal. */
export function terminalReport(report: BenchReport): string {
  const rows = [headings, ...report.results.flatMap(rowsOf)];
  const widths = headings.map((_, column) =>
    Math.max(...rows.map((row) => (row[column] ?? "").length)),
  );
  const lines = rows.map((row) =>
    row
      .map((cell, column) => aligned(cell, widths[column] ?? 0, alignments[column] === "right"))
      .join("  ")
      .trimEnd(),
  );
  return `${[factsLine(report.facts), "", ...lines, "", ...notesOf(report)].join("\n")}\n`;
}

/** What the machine is, in a line. */
export function factsLine(facts: MachineFacts): string {
  const runtimes = Object.entries(facts.runtimes).map(([name, version]) => `${name} ${version}`);
  return [
    `${facts.cpuModel}, ${facts.cores} cores, ${facts.memoryMiB} MiB`,
    `Linux ${facts.kernel}, cgroup ${facts.cgroup}`,
    `Node.js ${facts.node}`,
    ...runtimes,
  ].join("; ");
}

/** One figure with its unit, in three digits or so. */
export function shown(value: number | null, unit: string): string {
  if (value === null) return "";
  const digits = value >= 100 ? 0 : value >= 10 ? 1 : 2;
  return `${value.toFixed(digits)} ${unit}`;
}

function rowsOf(result: ScenarioResult): readonly (readonly string[])[] {
  const { driver, scenario, ours, raw, ratio } = result;
  const ratioShown =
    ratio === null
      ? ""
      : `${ratio.p50.toFixed(2)} (${ratio.low.toFixed(2)} to ${ratio.high.toFixed(2)})`;
  const first = [driver, scenario, "ours", ...cells(result, ours), ratioShown];
  return raw === null ? [first] : [first, ["", "", "raw", ...cells(result, raw), ""]];
}

function cells({ unit, bytes }: ScenarioResult, side: SideResult): readonly string[] {
  const { p50, p90, p99, max, n, failures } = side;
  const median =
    bytes < 1024 ** 2 || p50 === null
      ? shown(p50, unit)
      : `${shown(p50, unit)} = ${rate(bytes, p50)}`;
  const others = [p90, p99, max].map((value) => shown(value, unit));
  return [median, ...others, `${n}`, `${total(failures)}`];
}

/** Decimal megabytes in a second. */
function rate(bytes: number, milliseconds: number): string {
  return `${Math.round(bytes / 1000 / milliseconds)} MB/s`;
}

function total(failures: readonly Failure[]): number {
  return failures.reduce((sum, { count }) => sum + count, 0);
}

function notesOf({ results }: BenchReport): readonly string[] {
  return [
    "Percentiles are raw (nearest rank: each is a measurement that was made), failures are counted, nothing is trimmed; below 100 measurements p99 is the largest. The ratio is of medians, with the interval of 95 % of 1000 resamplings. Sides take turns in one run; warm-ups are made before and do not count.",
    ...results.flatMap(resultNotes),
  ];
}

function resultNotes(result: ScenarioResult): readonly string[] {
  const { driver, scenario, ours, raw, problem, figures, garbage, load, warmups } = result;
  const name = `${driver} ${scenario}`;
  if (problem !== undefined)
    return [`${name}: could not be run: ${problem.code}: ${problem.message}`];
  const failures = [ours, ...(raw === null ? [] : [raw])].flatMap((side) =>
    side.failures.map(
      ({ code, message, count }) => `${name}: ${count} failed with ${code}: ${message}`,
    ),
  );
  const more = Object.entries(figures).map(([what, value]) => `${what} ${shown(value, "").trim()}`);
  const about = [
    `${ours.title}; raw: ${result.rawMissing ?? raw?.title ?? "none"}`,
    `${warmups} warm-ups, garbage collection ${garbage.pauses} times (${garbage.totalMs.toFixed(1)} ms), load ${load.before.toFixed(1)} to ${load.after.toFixed(1)}`,
    ...more,
  ];
  return [`${name}: ${about.join("; ")}`, ...failures];
}

function markdownRow(cellsOfRow: readonly string[]): string {
  const escaped = cellsOfRow.map((cell) => cell.replaceAll("|", "\\|").replaceAll(/\s+/g, " "));
  return `| ${escaped.join(" | ")} |`;
}

function aligned(text: string, width: number, right: boolean): string {
  return right ? text.padStart(width) : text.padEnd(width);
}
