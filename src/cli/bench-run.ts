import { readFile, writeFile } from "node:fs/promises";
import { comparisonText } from "../bench/compare.ts";
import { progressLine } from "../bench/progress.ts";
import { type BenchReport, parseReport } from "../bench/report.ts";
import { type BenchEvent, runBench } from "../bench/run.ts";
import { scenarios, scenariosNamed } from "../bench/scenarios.ts";
import { markdownReport, terminalReport } from "../bench/table.ts";
import { SandboxError } from "../core/errors.ts";
import { numberIn } from "../core/validate.ts";
import { type LocalHost, requireRoot } from "./assemble.ts";
import { benchSubjects } from "./bench-subjects.ts";
import type { Context } from "./context.ts";
import { ensureTemplate } from "./ensure-template.ts";
import { hostFileError } from "./host-files.ts";
import { jsonText } from "./report.ts";
import { visibleText } from "./visible-text.ts";

/** What is to be measured, as commander gathers it. */
export interface BenchFlags {
  readonly driver?: readonly string[];
  readonly scenario?: readonly string[];
  readonly count?: number;
  readonly density?: number;
  readonly output?: string;
  readonly compare?: string;
  readonly build: boolean;
  readonly markdown?: true;
  readonly json?: true;
}

/** Measures this host and prints the report. Throws `invalid` for what does not exist, `cancelled`. */
export async function measureHost(
  host: LocalHost,
  context: Context,
  flags: BenchFlags,
): Promise<void> {
  const { terminal, interruption } = context;
  const { signal } = interruption;
  const wanted = flags.scenario === undefined ? scenarios : scenariosNamed(flags.scenario);
  const count = numberIn("count", flags.count, { min: 1, max: 100_000, unit: "attempts" });
  const density = numberIn("density", flags.density, { min: 1, max: 10_000, unit: "sandboxes" });
  const before = flags.compare === undefined ? undefined : await readReport(flags.compare);
  requireRoot();
  for (const template of host.builtinTemplates)
    await ensureTemplate(host, terminal, { template, build: flags.build, signal });
  const report = await runBench({
    subjects: await benchSubjects(host, flags.driver, density),
    scenarios: wanted,
    count,
    directory: `${host.stateDir}/bench`,
    signal,
    onEvent: (event) => told(event, context),
  });
  if (flags.output !== undefined) await writeReport(flags.output, report);
  if (flags.json === true) return terminal.stdout.write(jsonText(report));
  await terminal.stdout.write(
    flags.markdown === true ? markdownReport(report) : terminalReport(report),
  );
  if (before !== undefined) await terminal.stdout.write(`\n${comparisonText(before, report)}`);
}

function told(event: BenchEvent, { terminal }: Context): void {
  const line = progressLine(event);
  if (line !== undefined) void terminal.stderr.write(`${visibleText(line)}\n`);
}

async function readReport(file: string): Promise<BenchReport> {
  try {
    return parseReport(JSON.parse(await readFile(file, "utf8")));
  } catch (cause) {
    if (cause instanceof SyntaxError)
      throw new SandboxError("invalid", `${file} is not JSON`, {
        field: "compare",
        mend: "name a file that cofferdam bench --json wrote",
        cause,
      });
    throw hostFileError("compare", file, cause);
  }
}

async function writeReport(file: string, report: BenchReport): Promise<void> {
  try {
    await writeFile(file, jsonText(report));
  } catch (cause) {
    throw hostFileError("output", file, cause);
  }
}
