import { readFile, writeFile } from "node:fs/promises";
import { Command } from "commander";
import { comparisonText } from "../../bench/compare.ts";
import { progressLine } from "../../bench/progress.ts";
import { type BenchReport, parseReport } from "../../bench/report.ts";
import { type BenchEvent, runBench } from "../../bench/run.ts";
import { scenarios, scenariosNamed } from "../../bench/scenarios.ts";
import { markdownReport, terminalReport } from "../../bench/table.ts";
import { SandboxError } from "../../core/errors.ts";
import { numberIn } from "../../core/validate.ts";
import { requireRoot } from "../assemble.ts";
import { benchSubjects } from "../bench-subjects.ts";
import { type Context, hostOf } from "../context.ts";
import { ensureTemplate } from "../ensure-template.ts";
import { hostFileError } from "../host-files.ts";
import { repeatable } from "../options.ts";
import { jsonText } from "../report.ts";
import { parseNumber } from "../units.ts";
import { visibleText } from "../visible-text.ts";

interface BenchFlags {
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

const examples = `
Examples:
  cofferdam bench --driver gvisor --scenario cold-start --count 20
  cofferdam bench --json > report.json
  cofferdam bench --scenario files --compare report.json

Scenarios: ${scenarios.map(({ name }) => name).join(", ")}.
Each is measured beside the raw runtime doing the same, in turns; percentiles are raw and failures are counted.`;

/** `cofferdam bench` */
export function benchCommand(context: Context): Command {
  const command = new Command("bench")
    .description("measure this host: our figures beside the raw runtime's")
    .addOption(
      repeatable(
        "--driver <name>",
        "only this driver; repeatable (default: all that work)",
        String,
      ),
    )
    .addOption(
      repeatable("--scenario <name>", "only this scenario; repeatable (default: all)", String),
    )
    .option("--count <attempts>", "attempts per side (default: each scenario's own)", (value) =>
      parseNumber("count", value),
    )
    .option("--density <sandboxes>", "live sandboxes that the density scenario makes", (value) =>
      parseNumber("density", value),
    )
    .option("--output <file>", "also write the report as JSON to a file")
    .option("--compare <file>", "say what changed since the report in this file")
    .option("--no-build", "fail when a template is not built, instead of building it")
    .option("--markdown", "print a Markdown table")
    .option("--json", "print one JSON document");
  return command
    .addHelpText("after", examples)
    .action((flags: BenchFlags) => bench(context, command, flags));
}

async function bench(context: Context, command: Command, flags: BenchFlags): Promise<void> {
  const { terminal, interruption } = context;
  const { signal } = interruption;
  const host = hostOf(command);
  const wanted = flags.scenario === undefined ? scenarios : scenariosNamed(flags.scenario);
  const count = numberIn("count", flags.count, { min: 1, max: 100_000, unit: "attempts" });
  const density = numberIn("density", flags.density, { min: 1, max: 10_000, unit: "sandboxes" });
  const before = flags.compare === undefined ? undefined : await readReport(flags.compare);
  requireRoot();
  for (const template of host.templates.builtin)
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
      throw new SandboxError("invalid", `${file} is not JSON`, { field: "compare", cause });
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
