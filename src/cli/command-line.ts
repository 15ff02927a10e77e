import type { SandboxError } from "../core/errors.ts";
import { invalid } from "../core/validate.ts";
import type { Context } from "./context.ts";
import { type Interruption, interruptedBy, interruption } from "./interruption.ts";
import { isDone, program } from "./program.ts";
import { asSandboxError, errorDocument, errorText, exitCodeOf, jsonText } from "./report.ts";
import { type Terminal, flushed, processTerminal } from "./terminal.ts";

/** Runs a command line and returns its exit code, once all that it printed has left the process. */
export async function runCommandLine(words: readonly string[]): Promise<number> {
  const { before, after } = split(words.length === 0 ? ["--help"] : words);
  const stopping = interruption();
  const terminal = processTerminal({
    colour: !before.includes("--no-color"),
    onBrokenPipe: () => stopping.interrupt("SIGPIPE"),
  });
  let code = 0;
  const context: Context = {
    terminal,
    interruption: stopping,
    afterDashes: after,
    exitWith: (told) => {
      code = told;
    },
  };
  try {
    requireTaker(before, after);
    await program(context).parseAsync([...before], { from: "user" });
  } catch (cause) {
    if (!isDone(cause)) code = await tell(cause, { terminal, stopping, words: before });
  }
  await flushed(process.stdout);
  await flushed(process.stderr);
  return interruptedBy(stopping.signal)?.exitCode ?? code;
}

/** What stands behind the first `--` belongs to the command that is run, whatever it looks like. */
function split(words: readonly string[]): {
  readonly before: readonly string[];
  readonly after: readonly string[] | undefined;
} {
  const at = words.indexOf("--");
  return at < 0
    ? { before: words, after: undefined }
    : { before: words.slice(0, at), after: words.slice(at + 1) };
}

function requireTaker(before: readonly string[], after: readonly string[] | undefined): void {
  if (before.slice(before.indexOf("exec") + 1).includes("--version") && before.includes("exec"))
    throw invalid(
      "command",
      "--version here would be this program's",
      "put the command behind --, as in: cofferdam exec -- python3 --version",
    );
  if (after === undefined || before.includes("exec") || before.includes("--help")) return;
  throw invalid("command", "only exec takes something behind --", "cofferdam exec -- COMMAND…");
}

interface Telling {
  readonly terminal: Terminal;
  readonly stopping: Interruption;
  readonly words: readonly string[];
}

/** Tells what went wrong: a JSON document on stdout where JSON was asked for, else lines on stderr. */
async function tell(cause: unknown, { terminal, stopping, words }: Telling): Promise<number> {
  const interrupted = interruptedBy(stopping.signal);
  const error: SandboxError = interrupted ?? asSandboxError(cause, words);
  if (interrupted?.exitCode === brokenPipeExitCode) return interrupted.exitCode;
  if (words.includes("--json"))
    await terminal.stdout.write(jsonText({ error: errorDocument(error) }));
  else await terminal.stderr.write(errorText(error));
  return exitCodeOf(error);
}

const brokenPipeExitCode = 141;
