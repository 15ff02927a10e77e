import { Command, CommanderError } from "commander";
import { auditCommand } from "./commands/audit.ts";
import { backupCommand } from "./commands/backup.ts";
import { benchCommand } from "./commands/bench.ts";
import { createCommand } from "./commands/create.ts";
import { doctorCommand } from "./commands/doctor.ts";
import { execCommand } from "./commands/exec.ts";
import { killCommand } from "./commands/kill.ts";
import { kernelCommand } from "./commands/kernel.ts";
import { keyCommand } from "./commands/key.ts";
import { listCommand } from "./commands/ls.ts";
import { pauseCommand } from "./commands/pause.ts";
import { resumeCommand } from "./commands/resume.ts";
import { runCommand } from "./commands/run.ts";
import { serveCommand } from "./commands/serve.ts";
import { shellCommand } from "./commands/shell.ts";
import { snapshotCommand } from "./commands/snapshot.ts";
import { templateCommand } from "./commands/template.ts";
import { statusCommand } from "./commands/status.ts";
import type { Context } from "./context.ts";
import { packageVersion } from "./package-version.ts";

const examples = `
Examples:
  cofferdam run analysis.py --upload data.csv     run a script, print its results, save its plots
  cofferdam exec -- curl https://example.org      see what an attempt to get out looks like
  cofferdam shell                                 look around inside
  cofferdam doctor                                what works on this host, and what mends the rest

Exit codes are the program's own; Cofferdam's are 64 (wrong use), 66 (not found), 69 (not available here),
70 (a fault of ours), 73 (there already, in use, or full), 75 (at a limit), 76 (an answer not to be trusted), 77 (not allowed),
124 (time-out), 130 (Ctrl-C), 137 (out of memory).`;

/** The whole command line. */
export function program(context: Context): Command {
  const root = new Command("cofferdam")
    .description("Runs code that nobody has read, on machines that matter.")
    .version(packageVersion(), "--version", "print the version")
    .helpOption("-h, --help", "say how a command is used")
    .option(
      "--state-dir <directory>",
      "where machines and templates are kept (default: /var/lib/cofferdam)",
    )
    .option(
      "--allow-known-escapes",
      "use a runtime although its version has known escapes; recorded in audit.jsonl",
    )
    .option("--server <url>", "work on a server, not on this host (COFFERDAM_SERVER)")
    .option(
      "--api-key <key>",
      "the server's key, which ps shows to others; better in COFFERDAM_API_KEY or a file",
    )
    .option(
      "--api-key-file <file>",
      "file with the key, which nobody else may read (COFFERDAM_API_KEY_FILE)",
    )
    .option(
      "--ca <file>",
      "certificates to trust for the server, in PEM, instead of the system's (COFFERDAM_CA)",
    )
    .option("--plain-http", "talk to a server beyond this host although nothing encrypts it")
    .option("--no-color", "no colours")
    .option("-v, --verbose", "say on stderr which driver was taken and why, and how long it took")
    .addHelpText("after", examples);
  const commands = [
    runCommand,
    execCommand,
    shellCommand,
    createCommand,
    listCommand,
    killCommand,
    pauseCommand,
    resumeCommand,
    snapshotCommand,
    templateCommand,
    kernelCommand,
    serveCommand,
    keyCommand,
    statusCommand,
    auditCommand,
    backupCommand,
    doctorCommand,
    benchCommand,
  ];
  for (const make of commands) root.addCommand(make(context));
  quiet(root);
  return root;
}

/** Commander's own messages come as errors and go through one place. */
function quiet(command: Command): void {
  command.exitOverride((error) => {
    throw error;
  });
  command.configureOutput({ writeErr: () => undefined });
  for (const each of command.commands) quiet(each);
}

/** Whether what commander threw is the end of `--help` or `--version`. */
export function isDone(thrown: unknown): boolean {
  return thrown instanceof CommanderError && thrown.exitCode === 0;
}
