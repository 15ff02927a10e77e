import { inspect } from "node:util";
import { cut } from "./shown.ts";

/** An error as it stands in an answer. */
export interface Failure {
  readonly name: string;
  readonly value: string;
  readonly traceback: string;
}

const maxValueLength = 64 * 1024;
const maxTracebackLength = 1024 * 1024;
const interruptedCode = "ERR_SCRIPT_EXECUTION_INTERRUPTED";

/** What ends a run that was interrupted. */
export class Interrupted extends Error {
  override readonly name = "Interrupted";

  constructor() {
    super("the run was interrupted");
    this.stack = `${this.name}: ${this.message}`;
  }
}

export function failureOf(thrown: unknown): Failure {
  const error = wasInterrupted(thrown) ? new Interrupted() : thrown;
  return {
    name: cut(attempt(() => nameOf(error)) ?? "Error", maxValueLength),
    value: cut(
      attempt(() => valueOf(error)) ?? "<an error whose text cannot be made>",
      maxValueLength,
    ),
    traceback: cut(traceOf(error), maxTracebackLength),
  };
}

/** An error's text with its stack, without the kernel's own frames. */
export function traceOf(error: unknown): string {
  const text = attempt(() => (typeof error === "string" ? `Uncaught ${error}` : inspect(error)));
  return withoutOwnFrames(text ?? "<an error whose text cannot be made>");
}

function wasInterrupted(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === interruptedCode;
}

function nameOf(error: unknown): string {
  return error instanceof Error ? textOf(error.name) : "Error";
}

function valueOf(error: unknown): string {
  if (error instanceof Error) return textOf(error.message);
  return typeof error === "string" ? error : inspect(error);
}

/** Code may have put anything in the place of an error's texts. */
function textOf(given: unknown): string {
  return typeof given === "string" ? given : inspect(given);
}

/** What the user's own code decides about an error's looks may throw, too. */
function attempt(make: () => string): string | undefined {
  try {
    return make();
  } catch {
    return undefined;
  }
}

const ownFrame =
  /^\s+at .*(?:\/kernel\.mjs:\d+|node:vm:\d+|node:internal\/|node:events:\d+|node:net:\d+).*$/;

/** Where Node's own code has thrown, above the error's text. */
const ownPlace = /^node:\S+\n.*\n\s*\^+\n\n/;

function withoutOwnFrames(stack: string): string {
  return stack
    .replace(ownPlace, "")
    .split("\n")
    .filter((each) => !ownFrame.test(each))
    .join("\n");
}
