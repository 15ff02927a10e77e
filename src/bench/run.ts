import { mkdir, mkdtemp } from "node:fs/promises";
import { join } from "node:path";
import { createSandbox } from "../core/create.ts";
import { SandboxError } from "../core/errors.ts";
import { load, machineFacts } from "./facts.ts";
import { type AttemptMade, alternate, failureOf, sideResult, watchGarbage } from "./measure.ts";
import type { BenchReport, MachineFacts, ScenarioResult } from "./report.ts";
import type { Scenario, Sides, Stage, Subject } from "./scenario.ts";
import { removeDirectory } from "./remove-directory.ts";
import { ratioOf } from "./statistics.ts";

const lifetimeMs = 3 * 3_600_000;

/** What a run says while it goes. */
export type BenchEvent =
  | { readonly type: "machine"; readonly facts: MachineFacts }
  | ({
      readonly type: "scenario";
      readonly count: number;
      readonly warmups: number;
    } & Place)
  | ({ readonly type: "note"; readonly text: string } & Place)
  | ({ readonly type: "attempt"; readonly made: AttemptMade; readonly count: number } & Place)
  | { readonly type: "result"; readonly result: ScenarioResult };

interface Place {
  readonly driver: string;
  readonly scenario: string;
}

export interface BenchOptions {
  readonly subjects: readonly Subject[];
  readonly scenarios: readonly Scenario[];
  /** Attempts per side; default: each scenario's own. */
  readonly count?: number | undefined;
  /** A directory on the disk that sandboxes use. What is made below it is removed. */
  readonly directory: string;
  readonly signal?: AbortSignal | undefined;
  readonly onEvent?: (event: BenchEvent) => void;
}

/**
 * Runs the scenarios, one after the other, on each subject.
 *
 * A scenario that cannot be prepared has a `problem` in the report and the run goes on. Throws `cancelled`.
 */
export async function runBench(options: BenchOptions): Promise<BenchReport> {
  const { subjects, scenarios, onEvent = () => undefined } = options;
  const startedAt = new Date().toISOString();
  const facts = await machineFacts(runtimesOf(subjects));
  onEvent({ type: "machine", facts });
  const results: ScenarioResult[] = [];
  for (const subject of subjects) {
    const driverVersion = await versionOf(subject);
    for (const scenario of scenarios) {
      const result = await runScenario({ subject, scenario, driverVersion }, options, onEvent);
      results.push(result);
      onEvent({ type: "result", result });
    }
  }
  return { version: 1, startedAt, finishedAt: new Date().toISOString(), facts, results };
}

interface Pair {
  readonly subject: Subject;
  readonly scenario: Scenario;
  readonly driverVersion: string;
}

async function runScenario(
  pair: Pair,
  options: BenchOptions,
  onEvent: (event: BenchEvent) => void,
): Promise<ScenarioResult> {
  const { subject, scenario } = pair;
  const place = { driver: subject.driver.name, scenario: scenario.name };
  const count = options.count ?? scenario.count(subject);
  onEvent({ type: "scenario", ...place, count, warmups: scenario.warmups });
  await mkdir(options.directory, { recursive: true, mode: 0o700 });
  const directory = await mkdtemp(join(options.directory, "bench-"));
  const stage: Stage = {
    subject,
    count,
    directory,
    signal: options.signal,
    tell: (text) => onEvent({ type: "note", ...place, text }),
    create: (wanted = {}) =>
      createSandbox(subject.driver, {
        lifetimeMs,
        idleTimeoutMs: 0,
        ...(options.signal === undefined ? {} : { signal: options.signal }),
        ...wanted,
      }),
  };
  const before = load();
  try {
    return await measured(pair, stage, (made) =>
      onEvent({ type: "attempt", ...place, made, count }),
    );
  } catch (cause) {
    if (options.signal?.aborted === true) throw SandboxError.from(cause);
    return {
      ...emptyResult(pair),
      load: { before, after: load() },
      problem: failureOf(cause),
    };
  } finally {
    await removeDirectory(directory);
  }
}

async function measured(
  pair: Pair,
  stage: Stage,
  onAttempt: (made: AttemptMade) => void,
): Promise<ScenarioResult> {
  const { scenario } = pair;
  const { warmups } = scenario;
  const sides = await scenario.prepare(stage);
  try {
    const before = load();
    const garbage = watchGarbage();
    const { ours, raw } = await alternate({
      ours: sides.ours,
      raw: sides.raw,
      count: stage.count,
      warmups,
      signal: stage.signal,
      onAttempt,
    });
    const after = load();
    return {
      ...emptyResult(pair),
      ours: sideResult(scenario.title, ours),
      raw: raw === undefined ? null : sideResult(scenario.rawTitle, raw),
      ...(raw === undefined ? { rawMissing: scenario.rawTitle } : {}),
      ratio: ratioOf(ours.samples, raw?.samples ?? []) ?? null,
      garbage: garbage.stop(),
      load: { before, after },
      figures: { ...(await figuresOf(sides)) },
    };
  } finally {
    await sides[Symbol.asyncDispose]();
  }
}

function emptyResult({ subject, scenario, driverVersion }: Pair): ScenarioResult {
  return {
    driver: subject.driver.name,
    driverVersion,
    scenario: scenario.name,
    title: scenario.title,
    unit: scenario.unit,
    bytes: scenario.bytes ?? 0,
    warmups: scenario.warmups,
    ours: sideResult(scenario.title, { samples: [], failures: [] }),
    raw: null,
    ratio: null,
    garbage: { pauses: 0, totalMs: 0 },
    load: { before: 0, after: 0 },
    figures: {},
  };
}

function figuresOf(sides: Sides): Promise<Readonly<Record<string, number>>> {
  return sides.figures?.() ?? Promise.resolve({});
}

async function versionOf({ driver }: Subject): Promise<string> {
  const availability = await driver.probe();
  return availability.ok ? availability.version : `unavailable: ${availability.reason}`;
}

function runtimesOf(subjects: readonly Subject[]): Readonly<Record<string, string>> {
  const versions = subjects.flatMap(({ raw }) => (raw === undefined ? [] : [raw]));
  return Object.fromEntries(versions.map(({ name, version }) => [name, version]));
}
