import { CommanderError } from "commander";
import { type ErrorCode, SandboxError, meanings } from "../core/errors.ts";
import { Interrupted } from "./interruption.ts";
import { visibleText } from "./visible-text.ts";

/** Flags of the command line for fields that the library names. */
const flags: Readonly<Record<string, string>> = {
  "resources.cpus": "--cpus",
  "resources.memoryMiB": "--memory",
  "resources.diskMiB": "--disk",
  "resources.pids": "--pids",
  "resources.openFiles": "--open-files",
  lifetimeMs: "--lifetime",
  idleTimeoutMs: "--idle-timeout",
  timeoutMs: "--timeout",
  driver: "--driver",
  template: "--template",
  stateDir: "--state-dir",
  allowKnownEscapes: "--allow-known-escapes",
  server: "--server",
  behind: "--driver",
  apiKey: "--api-key",
  apiKeyFile: "--api-key-file",
  ca: "--ca",
  plainHttp: "--plain-http",
  host: "--host",
  port: "--port",
  tlsCert: "--tls-cert",
  tlsKey: "--tls-key",
  devTls: "--dev-tls",
  language: "--language",
  "network.denyOut": "--deny-out",
  network: "--allow-out",
  allowInternetAccess: "--allow-internet-access",
  seccomp: "--seccomp",
  envs: "--env",
  metadata: "--metadata",
  user: "--user",
  cwd: "--cwd",
};

/** What commander says of a guest's command that does not stand behind `--`. */
const misplaced: ReadonlySet<string> = new Set([
  "commander.unknownOption",
  "commander.excessArguments",
]);

/** Exit code for whatever was thrown. */
export function exitCodeOf(error: SandboxError): number {
  return error instanceof Interrupted ? error.exitCode : meanings[error.code].exit;
}

/** Anything that was thrown as the library's error; commander's own complaints about the words are `invalid`. */
export function asSandboxError(thrown: unknown, words: readonly string[] = []): SandboxError {
  if (!(thrown instanceof CommanderError)) return SandboxError.from(thrown);
  if (misplaced.has(thrown.code) && words.includes("exec"))
    return new SandboxError(
      "invalid",
      thrown.message.split("\n", 1)[0]?.replace(/^error: /, "") ?? "",
      {
        field: "command",
        mend: "put the command behind --, as in: cofferdam exec [ID] -- ls -la",
      },
    );
  if (thrown.code === "commander.help")
    return new SandboxError("invalid", "a command is missing", { mend: "add --help to see them" });
  const [first = "", ...rest] = thrown.message.split("\n");
  const mend = rest
    .join(" ")
    .trim()
    .replace(/^\((.*)\)$/, "$1")
    .replace(/^Did/, "did");
  return new SandboxError("invalid", first.replace(/^error: /, ""), {
    mend: mend === "" ? helpMend(thrown) : mend,
  });
}

function helpMend({ code }: CommanderError): string {
  return code === "commander.unknownCommand"
    ? "see cofferdam --help"
    : "add --help to see what there is";
}

/** An error as lines for a person: what, which option, what mends it. */
export function errorText(error: SandboxError): string {
  const lines = [`cofferdam: ${visibleLines(error.message)}`];
  const flag = error.field === undefined ? undefined : flagOf(error.field);
  if (flag !== undefined && !error.message.includes(flag)) lines.push(`  option: ${flag}`);
  if (error.mend !== undefined) lines.push(`  mend: ${visibleLines(error.mend)}`);
  return `${lines.join("\n")}\n`;
}

function visibleLines(text: string): string {
  return text
    .split("\n")
    .slice(0, 40)
    .map((line) => visibleText(line))
    .join("\n    ");
}

function flagOf(field: string): string | undefined {
  const whole = field.replace(/\[\d+\]$/, "");
  return flags[whole] ?? flags[whole.split(".", 1)[0] ?? ""];
}

/** An error as it stands in a JSON document. */
export interface ErrorDocument {
  readonly code: ErrorCode;
  readonly message: string;
  readonly field?: string;
  readonly mend?: string;
}

export function errorDocument(error: SandboxError): ErrorDocument {
  const { code, message, field, mend } = error;
  return {
    code,
    message,
    ...(field === undefined ? {} : { field }),
    ...(mend === undefined ? {} : { mend }),
  };
}

/** A JSON document as the command line prints it. */
export function jsonText(document: unknown): string {
  return `${JSON.stringify(document, undefined, 2)}\n`;
}
