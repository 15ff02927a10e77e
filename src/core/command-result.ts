import type { ProcessEnd } from "./process.ts";
import { type ErrorCode, SandboxError } from "./errors.ts";

/** How a command ended and what it printed. */
export interface CommandResult {
  /** The program's own; 128 plus the signal's number when a signal ended it. */
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
  /** What the system had to say about the end; absent when it succeeded. */
  readonly error?: string;
  /** Whether more was printed than `maxOutputBytes`, and is missing here. */
  readonly truncated: boolean;
}

/** A command that did not come to its own end: `timed-out`, `out-of-memory`, `cancelled` or `lost`; with what it printed. */
export class CommandError extends SandboxError implements CommandResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
  readonly error: string;
  readonly truncated: boolean;

  constructor(code: ErrorCode, message: string, result: CommandResult) {
    super(code, message);
    this.exitCode = result.exitCode;
    this.stdout = result.stdout;
    this.stderr = result.stderr;
    this.error = result.error ?? message;
    this.truncated = result.truncated;
  }
}

/** A command that ended with another exit code than 0, or by a signal. Its code is `exited`. */
export class CommandExitError extends CommandError {
  /** `SIGKILL`, `SIGSEGV`, …; `undefined` when it exited by itself. */
  readonly signal: string | undefined;

  constructor(result: CommandResult, signal?: string) {
    super("exited", exitMessage(result, signal), result);
    this.signal = signal;
  }
}

function exitMessage(result: CommandResult, signal: string | undefined): string {
  const end =
    signal === undefined ? `exited with code ${result.exitCode}` : `was ended by ${signal}`;
  const lastWords = result.stderr.trimEnd().split("\n").at(-1)?.slice(0, 200) ?? "";
  return lastWords === "" ? `the command ${end}` : `the command ${end}: ${lastWords}`;
}

/** What a command printed, before it is known how it ended. */
export interface Printed {
  readonly stdout: string;
  readonly stderr: string;
  readonly truncated: boolean;
}

/** The result of a success, or the error for anything else. Pure. */
export function outcomeOf(end: ProcessEnd, printed: Printed): CommandResult | CommandError {
  const result: CommandResult = { exitCode: end.exitCode, ...printed };
  const failed: CommandResult = { ...result, error: end.message ?? endMessage(end) };
  if (end.reason === "timed-out")
    return new CommandError(
      "timed-out",
      "the command ran into its time limit and was killed",
      failed,
    );
  if (end.reason === "out-of-memory")
    return new CommandError(
      "out-of-memory",
      "the command was killed because memory ran out",
      failed,
    );
  if (end.reason === "machine-ended")
    return new CommandError(
      "lost",
      end.message ?? "the sandbox ended while the command ran",
      failed,
    );
  return end.reason === "exited" && end.exitCode === 0
    ? result
    : new CommandExitError(failed, end.signal);
}

function endMessage(end: ProcessEnd): string {
  return end.signal === undefined ? `exit status ${end.exitCode}` : `signal: ${end.signal}`;
}
