import type { Driver } from "../core/driver.ts";
import { SandboxError } from "../core/errors.ts";
import type { Topic } from "../conformance/case.ts";
import type { Outcome } from "../conformance/run-case.ts";
import { patienceWith } from "../conformance/patience.ts";
import { runSuite } from "../conformance/run-suite.ts";
import { cases } from "../conformance/cases.ts";
import type { LocalHost } from "./assemble.ts";
import type { Context } from "./context.ts";
import { ensureTemplate } from "./ensure-template.ts";
import { untilAborted } from "./interruption.ts";
import { spinner } from "./progress.ts";
import { jsonText } from "./report.ts";
import { type Paint, readableMs, table } from "./table.ts";
import type { Output } from "./terminal.ts";
import { visibleText } from "./visible-text.ts";

/** Which cases are to be run, and how it is told. */
export interface SuiteFlags {
  readonly topic?: readonly Topic[];
  readonly filter?: string;
  readonly build: boolean;
  readonly json?: true;
}

interface Suite {
  readonly context: Context;
  readonly driver: Driver;
  readonly flags: SuiteFlags;
}

/** Templates that cases of the suite use. */
const suiteTemplates = ["base", "code-interpreter"];

/** Runs the conformance suite on this host. The exit code: 1 when a case failed. Throws `unavailable` for an absent driver. */
export async function conformance(host: LocalHost, suite: Suite): Promise<number> {
  const { context, driver, flags } = suite;
  const { terminal, interruption } = context;
  const { signal } = interruption;
  const isElsewhere = host.isElsewhere(driver.name);
  for (const template of isElsewhere ? [] : suiteTemplates)
    await ensureTemplate(host, terminal, { template, build: flags.build, signal });
  const availability = await untilAborted(driver.probe(), signal);
  if (!availability.ok)
    throw new SandboxError(
      "unavailable",
      `${driver.name} does not work ${isElsewhere ? "from " : "on "}this host: ${availability.reason}`,
      {
        field: "driver",
        mend: availability.mend,
      },
    );
  const outcomes = await allOutcomes(host, suite, patienceWith(availability));
  if (outcomes.length === 0)
    throw new SandboxError("not-found", "no case has such a name", {
      field: "filter",
      mend: "docs/drivers.md names them all",
    });
  const failed = outcomes.filter(({ status }) => status === "failed");
  if (flags.json === true) await terminal.stdout.write(jsonText(documentOf(driver, outcomes)));
  else await terminal.stdout.write(summaryText(outcomes, terminal.stdout));
  return failed.length === 0 ? 0 : 1;
}

async function allOutcomes(
  host: LocalHost,
  { context, driver, flags }: Suite,
  patience: number,
): Promise<readonly Outcome[]> {
  const { terminal, interruption } = context;
  const outcomes: Outcome[] = [];
  const total = cases.filter(
    (each) => (flags.topic?.includes(each.topic) ?? true) && each.name.includes(flags.filter ?? ""),
  ).length;
  const waiting = spinner(terminal.stderr, `0 of ${total} cases`);
  try {
    const run = runSuite(driver, {
      ...(host.isElsewhere(driver.name) ? {} : { stateDir: host.stateDir }),
      patience,
      otherProcess: host.recipe(driver.name),
      ...(flags.topic === undefined ? {} : { topics: flags.topic }),
      ...(flags.filter === undefined ? {} : { filter: flags.filter }),
    });
    for (;;) {
      const next = await untilAborted(run.next(), interruption.signal);
      if (next.done === true) return outcomes;
      const outcome = next.value;
      outcomes.push(outcome);
      waiting.say(`${outcomes.length} of ${total} cases`);
      if (flags.json !== true) await terminal.stdout.write(outcomeText(outcome, terminal.stdout));
    }
  } finally {
    waiting.stop();
  }
}

function outcomeText(outcome: Outcome, output: Output): string {
  const { case: each, reason, status, tookMs } = outcome;
  const clear = output.isTerminal ? "\r\u001b[K" : "";
  const word = paintOf(outcome, output)(status.padEnd(7));
  const line = `${clear}${word}  ${each.topic}: ${visibleText(each.name)} (${readableMs(tookMs)})\n`;
  return reason === undefined ? line : `${line}         ${visibleText(reason)}\n`;
}

function paintOf({ status }: Outcome, { colours }: Output): Paint {
  const paints = {
    passed: colours.green,
    refused: colours.cyan,
    "not-run": colours.yellow,
    failed: colours.red,
  };
  return paints[status];
}

function summaryText(outcomes: readonly Outcome[], output: Output): string {
  const statuses = ["passed", "refused", "not-run", "failed"] as const;
  const topics = [...new Set(outcomes.map((each) => each.case.topic))];
  const count = (topic: string | undefined, status: Outcome["status"]): string =>
    String(
      outcomes.filter(
        (each) => each.status === status && (topic === undefined || each.case.topic === topic),
      ).length,
    );
  const rows = [...topics, undefined].map((topic) => [
    topic ?? "all",
    ...statuses.map((status) => count(topic, status)),
  ]);
  const head = ["TOPIC", "PASSED", "REFUSED", "NOT RUN", "FAILED"];
  return `\n${output.colours.bold("Summary")}\n${table(head, rows)}`;
}

function documentOf(driver: Driver, outcomes: readonly Outcome[]): unknown {
  return {
    driver: driver.name,
    outcomes: outcomes.map(({ case: each, status, reason, tookMs }) => ({
      topic: each.topic,
      name: each.name,
      status,
      reason: reason ?? null,
      tookMs: Math.round(tookMs),
    })),
  };
}
