import type { ProcessEnd, ProcessInfo, ProcessOutput } from "../core/process.ts";
import { printable } from "./connect-errors.ts";
import {
  type Fields,
  asFields,
  integerField,
  malformed,
  ownField,
  textField,
  textsField,
} from "./json.ts";

/** One message of a process stream. `ignored` is one that nobody needs to know: a keep-alive, or a kind of the future. */
export type ProcessEvent =
  | { readonly kind: "start"; readonly pid: number }
  | { readonly kind: "output"; readonly output: ProcessOutput }
  | { readonly kind: "end"; readonly end: ProcessEnd }
  | { readonly kind: "ignored" };

const maxPid = 4_194_304;
const ignored: ProcessEvent = { kind: "ignored" };
const streams = ["stdout", "stderr", "pty"] as const;

/** A `StartResponse` or `ConnectResponse` in proto-JSON. Throws `untrusted`. */
export function parseProcessEvent(value: unknown): ProcessEvent {
  const event = asFields(ownField(asFields(value, "process event"), "event"), "process event");
  const data = ownField(event, "data");
  if (data !== undefined) return parseOutput(asFields(data, "output event"));
  const start = ownField(event, "start");
  if (start !== undefined) return { kind: "start", pid: parsePid(asFields(start, "start event")) };
  const end = ownField(event, "end");
  if (end !== undefined) return { kind: "end", end: parseEnd(asFields(end, "end event")) };
  return ignored;
}

/** A `ListResponse`. Throws `untrusted`. */
export function parseProcessList(value: unknown): readonly ProcessInfo[] {
  const processes = ownField(asFields(value, "process list"), "processes");
  if (processes === undefined || processes === null) return [];
  if (!Array.isArray(processes)) throw malformed("process list");
  return processes.map((entry: unknown) => parseProcessInfo(asFields(entry, "process")));
}

function parseProcessInfo(fields: Fields): ProcessInfo {
  const config = asFields(ownField(fields, "config") ?? {}, "process");
  const args = ownField(config, "args") ?? [];
  if (!Array.isArray(args)) throw malformed("process");
  const words = args.map((word: unknown) => {
    if (typeof word !== "string") throw malformed("process");
    return word;
  });
  return {
    pid: parsePid(fields),
    argv: [textField(config, "cmd") ?? "", ...words],
    cwd: textField(config, "cwd") ?? "",
    envs: textsField(config, "envs"),
    tag: textField(fields, "tag"),
  };
}

function parsePid(fields: Fields): number {
  const pid = integerField(fields, "pid");
  if (pid < 1 || pid > maxPid) throw malformed("process id");
  return pid;
}

function parseOutput(data: Fields): ProcessEvent {
  for (const stream of streams) {
    const text = textField(data, stream);
    if (text !== undefined)
      return { kind: "output", output: { stream, bytes: Buffer.from(text, "base64") } };
  }
  return ignored;
}

const reasons: readonly ProcessEnd["reason"][] = [
  "exited",
  "signalled",
  "timed-out",
  "out-of-memory",
  "killed",
  "machine-ended",
];

function parseEnd(end: Fields): ProcessEnd {
  const status = textField(end, "status") ?? "";
  const message = textField(end, "error");
  const signal = signalOf(end, status);
  const told = textField(end, "reason");
  const reason =
    reasons.find((known) => known === told) ?? (signal === undefined ? "exited" : "signalled");
  return {
    exitCode: boundedExitCode(integerField(end, "exitCode"), signal),
    reason,
    signal,
    message: message === undefined || message === "" ? undefined : printable(message),
  };
}

/** The signal's name, as the agent gives it or as the status tells: "signal: killed". */
function signalOf(end: Fields, status: string): string | undefined {
  const named = textField(end, "signal");
  if (named !== undefined && /^SIG[A-Z0-9+]{1,12}$/.test(named)) return named;
  const told = /^signal: ([a-z ]{1,40})/.exec(status)?.[1]?.trim();
  return told === undefined ? undefined : (signalsByWords[told] ?? "SIGKILL");
}

/** What Go's `os/exec` calls the signals that end processes. */
const signalsByWords: Readonly<Record<string, string>> = {
  aborted: "SIGABRT",
  "alarm clock": "SIGALRM",
  "bad system call": "SIGSYS",
  "broken pipe": "SIGPIPE",
  "bus error": "SIGBUS",
  "floating point exception": "SIGFPE",
  hangup: "SIGHUP",
  "illegal instruction": "SIGILL",
  interrupt: "SIGINT",
  killed: "SIGKILL",
  quit: "SIGQUIT",
  "segmentation fault": "SIGSEGV",
  terminated: "SIGTERM",
  "trace/breakpoint trap": "SIGTRAP",
};

const signalNumbers: Readonly<Record<string, number>> = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGQUIT: 3,
  SIGILL: 4,
  SIGTRAP: 5,
  SIGABRT: 6,
  SIGBUS: 7,
  SIGFPE: 8,
  SIGKILL: 9,
  SIGSEGV: 11,
  SIGPIPE: 13,
  SIGALRM: 14,
  SIGTERM: 15,
  SIGSYS: 31,
};

/** Exit codes are 0 to 255; Go says -1 for a process that a signal ended, which is 128 plus its number to a shell. */
function boundedExitCode(exitCode: number, signal: string | undefined): number {
  if (exitCode >= 0 && exitCode <= 255 && (signal === undefined || exitCode !== 0)) return exitCode;
  if (signal === undefined) throw malformed("exit code");
  return 128 + (signalNumbers[signal] ?? 9);
}
