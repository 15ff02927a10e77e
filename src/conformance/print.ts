import { topics } from "./case.ts";
import { cases } from "./cases.ts";
import type { Outcome } from "./run-case.ts";

/** The suite's outcomes against one driver, with what is needed to read them. */
export interface DriverColumn {
  readonly driver: string;
  readonly isolation: string;
  /** What `probe()` found: a version, or why the driver is absent. */
  readonly version: string;
  readonly outcomes: readonly Outcome[];
}

const inCell = (text: string): string =>
  text.replaceAll(/\s+/g, " ").replaceAll("|", "\\|").slice(0, 160);

function cell(outcome: Outcome | undefined): string {
  if (outcome === undefined) return "not run: not chosen";
  const words = {
    passed: "passed",
    refused: "refused",
    "not-run": "not run",
    failed: "**failed**",
  };
  const word = words[outcome.status];
  return outcome.reason === undefined ? word : `${word}: ${inCell(outcome.reason)}`;
}

function summary({ driver, outcomes }: DriverColumn): string {
  const count = (status: Outcome["status"]): number =>
    outcomes.filter((each) => each.status === status).length;
  return `| \`${driver}\` | ${count("passed")} | ${count("refused")} | ${count("not-run")} | ${count("failed")} |`;
}

/** The page docs/drivers.md: which driver keeps which promise, from a run of the suite. */
export function driversPage(columns: readonly DriverColumn[], host: string): string {
  const names = columns.map((column) => `\`${column.driver}\``);
  const lines = [
    "# Drivers and the promises that they keep",
    "",
    "Printed from the last run of the conformance suite (`npm run conformance`); do not edit. `cofferdam doctor --driver NAME`",
    "runs the same suite on your own host. A cell says *passed*, *refused* with the typed error, or *not run* with the reason.",
    "",
    `Run on: ${host}.`,
    "",
    "| driver | isolation | version |",
    "|---|---|---|",
    ...columns.map(
      (each) => `| \`${each.driver}\` | ${each.isolation} | ${inCell(each.version)} |`,
    ),
    "",
    "| driver | passed | refused | not run | failed |",
    "|---|---|---|---|---|",
    ...columns.map(summary),
  ];
  for (const topic of topics) {
    lines.push(
      "",
      `## ${topic}`,
      "",
      `| promise | ${names.join(" | ")} |`,
      `|---|${columns.map(() => "---|").join("")}`,
    );
    for (const each of cases.filter((one) => one.topic === topic)) {
      const cells = columns.map((column) =>
        cell(column.outcomes.find((outcome) => outcome.case.name === each.name)),
      );
      lines.push(`| ${inCell(each.name)} | ${cells.join(" | ")} |`);
    }
  }
  return `${lines.join("\n")}\n`;
}
