import { Command } from "commander";
import { type Context, globalOptions, hostOf } from "../context.ts";
import {
  type SandboxFlags,
  addSandboxFlags,
  repeatable,
  sandboxOptions,
  timeoutFlag,
} from "../options.ts";
import { readScript } from "../script.ts";
import { type Transfer, parseDownload, parseUpload } from "../transfer-paths.ts";
import { checkUploads } from "../uploads.ts";
import { documentWriter } from "../run-document.ts";
import { streamWriter } from "../run-stream.ts";
import { runScript } from "../run-script.ts";

interface RunFlags extends SandboxFlags {
  readonly code?: string;
  readonly language?: string;
  readonly upload?: readonly Transfer[];
  readonly download?: readonly Transfer[];
  readonly pictures?: string;
  readonly timeout?: number;
  readonly json?: true;
}

const standardTimeoutMs = 300_000;
const endlessLifetimeMs = 86_400_000;
const lifetimeBeyondTimeoutMs = 60_000;

const examples = `
Examples:
  cofferdam run analysis.py --upload data.csv --download report.html
  cofferdam run -c 'import os; os.listdir("/")'
  echo 'console.log(1 + 1)' | cofferdam run - --language javascript
  cofferdam run train.py --driver gvisor --memory 2GiB --timeout 20m --json > result.json

The exit code is the program's own: 1 for an uncaught error, 124 for a time-out, 137 when memory ran out.`;

/** `cofferdam run` */
export function runCommand(context: Context): Command {
  const command = new Command("run")
    .description("run code that nobody has read in a sandbox of its own, which is gone afterwards")
    .argument(
      "[file]",
      "code, its language told by .py .js .mjs .ts .mts .sh .bash; - reads standard input",
    )
    .option("-c, --code <code>", "the code itself")
    .option(
      "--language <language>",
      "python (default for -c and -), javascript, typescript or bash",
    )
    .addOption(
      repeatable(
        "--upload <LOCAL[:REMOTE]>",
        "file or directory to bring in; repeatable",
        parseUpload,
      ),
    )
    .addOption(
      repeatable(
        "--download <REMOTE[:LOCAL]>",
        "file or directory to bring out; repeatable",
        parseDownload,
      ),
    )
    .option(
      "--pictures <directory>",
      "where pictures among the results are saved (default: this directory)",
    )
    .addOption(timeoutFlag("ends the code: 30s, 5m; 0: never (default: 5m)"))
    .option("--json", "print one JSON document: results, output, error, driver and why, timings");
  return addSandboxFlags(command)
    .addHelpText("after", examples)
    .action(async (file: string | undefined, flags: RunFlags) =>
      run(context, command, { file, flags }),
    );
}

async function run(
  context: Context,
  command: Command,
  { file, flags }: { readonly file: string | undefined; readonly flags: RunFlags },
): Promise<void> {
  const { terminal, interruption } = context;
  const host = hostOf(command);
  const timeoutMs = flags.timeout ?? standardTimeoutMs;
  const options = {
    ...sandboxOptions(flags, { idleTimeoutMs: 0, lifetimeMs: lifetimeFor(timeoutMs) }),
    signal: interruption.signal,
  };
  const script = await readScript(
    { file, code: flags.code, language: flags.language },
    terminal.stdin,
  );
  await checkUploads(flags.upload ?? []);
  const verbose = globalOptions(command).verbose === true;
  const writer = flags.json === true ? documentWriter(terminal) : streamWriter(terminal, verbose);
  const exitCode = await runScript(host, {
    script,
    terminal,
    writer,
    wanted: {
      driver: flags.driver,
      options,
      build: flags.build,
      verbose: verbose && flags.json !== true,
    },
    uploads: flags.upload ?? [],
    downloads: flags.download ?? [],
    pictures: flags.pictures ?? ".",
    timeoutMs,
  });
  context.exitWith(exitCode);
}

/** A lifetime that leaves room for files before and after the code. */
export function lifetimeFor(timeoutMs: number): number {
  return timeoutMs === 0 ? endlessLifetimeMs : timeoutMs + lifetimeBeyondTimeoutMs;
}
