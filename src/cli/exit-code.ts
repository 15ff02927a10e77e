import { constants } from "node:os";
import type { CodeError } from "../core/code.ts";
import type { ProcessEnd } from "../core/process.ts";
import { SandboxError } from "../core/errors.ts";

/** What code that did not come to its end means to a shell, and whether its traceback tells the user something. */
export interface CodeEnd {
  readonly exitCode: number;
  /** To be shown on stderr; empty when the program left on purpose. */
  readonly message: string;
}

/**
 * The exit code of code: its own where it asked for one (`sys.exit(3)`), 1 for anything that it threw.
 *
 * A kernel that died gives its own status, 128 plus a signal's number, or 137 when memory ran out.
 */
export function codeEnd(error: CodeError | undefined): CodeEnd {
  if (error === undefined) return { exitCode: 0, message: "" };
  if (error.name === "SystemExit") return systemExit(error.value.trim());
  if (error.name === "KernelDied") return kernelDied(error);
  const status = /^exit status (\d{1,3})(?: \([A-Z0-9]+\))?$/.exec(error.value);
  if (status?.[1] !== undefined) return { exitCode: Number(status[1]) & 0xff, message: "" };
  return { exitCode: 1, message: tracebackOf(error) };
}

/** As Python's own interpreter leaves: nothing and None are 0, a number is itself, anything else is printed and 1. */
function systemExit(value: string): CodeEnd {
  if (value === "" || value === "None" || value === "False") return { exitCode: 0, message: "" };
  if (value === "True") return { exitCode: 1, message: "" };
  if (/^[+-]?\d{1,15}$/.test(value)) return { exitCode: Number(value) & 0xff, message: "" };
  return { exitCode: 1, message: value };
}

function kernelDied(error: CodeError): CodeEnd {
  const reason = error.value.split(";", 1)[0] ?? "";
  const status = /exited with status (\d{1,3})$/.exec(reason);
  if (status?.[1] !== undefined) return { exitCode: Number(status[1]) & 0xff, message: "" };
  const signal = /killed by (SIG[A-Z0-9]+)$/.exec(reason);
  if (signal?.[1] !== undefined)
    return { exitCode: signalExitCode(signal[1]), message: `killed by ${signal[1]}` };
  if (reason.includes("out of memory")) return { exitCode: 137, message: "out of memory" };
  return { exitCode: 1, message: reason };
}

function tracebackOf({ name, value, traceback }: CodeError): string {
  return traceback.trim() === "" ? `${name}: ${value}` : traceback;
}

/** 128 and the signal's number; 1 for a signal that nobody knows. */
function signalExitCode(name: string): number {
  const number = Object.entries(constants.signals).find(([known]) => known === name)?.[1];
  return number === undefined ? 1 : 128 + number;
}

/** What the end of a process means; a process that did not come to its own end is an error. */
export function processExitCode(end: ProcessEnd): number | SandboxError {
  if (end.reason === "timed-out")
    return new SandboxError("timed-out", "the command ran into its time limit and was killed", {
      field: "timeoutMs",
      mend: "give it longer with --timeout",
    });
  if (end.reason === "out-of-memory")
    return new SandboxError("out-of-memory", "the command was killed because memory ran out", {
      field: "resources.memoryMiB",
      mend: "give it more with --memory",
    });
  if (end.reason === "machine-ended")
    return new SandboxError("lost", end.message ?? "the sandbox ended while the command ran");
  return end.exitCode;
}
