import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { Machine } from "../core/driver.ts";
import { type ErrorCode, SandboxError } from "../core/errors.ts";
import { patient } from "./patience.ts";
import type { Command, Process, ProcessEnd } from "../core/process.ts";

/** A finished command. */
export interface Ran {
  readonly stdout: string;
  readonly stderr: string;
  readonly pty: string;
  readonly end: ProcessEnd;
}

/** A command without its program, which helpers add. */
export type CommandOptions = Omit<Command, "argv">;

const keptBytes = 64 * 1024 * 1024;

/** Reads a process to its end. Keeps at most 64 MiB of each stream. */
export async function finish(process: Process): Promise<Ran> {
  const parts = { stdout: [] as Uint8Array[], stderr: [] as Uint8Array[], pty: [] as Uint8Array[] };
  let kept = 0;
  for await (const { stream, bytes } of process.output) {
    kept += bytes.length;
    if (kept <= keptBytes) parts[stream].push(bytes);
  }
  const end = await process.end;
  const [stdout, stderr, pty] = [parts.stdout, parts.stderr, parts.pty].map((chunks) =>
    Buffer.concat(chunks).toString(),
  );
  return { stdout: stdout ?? "", stderr: stderr ?? "", pty: pty ?? "", end };
}

/** Runs a program, or a line of `sh`, and waits for it. */
export async function run(
  machine: Machine,
  program: string | Command["argv"],
  options: CommandOptions = {},
): Promise<Ran> {
  return finish(await start(machine, program, options));
}

/** Starts a program, or a line of `sh`. */
export async function start(
  machine: Machine,
  program: string | Command["argv"],
  options: CommandOptions = {},
): Promise<Process> {
  const argv: Command["argv"] = typeof program === "string" ? ["sh", "-c", program] : program;
  return machine.spawn({ ...options, argv });
}

/** Standard output of a program that must succeed, without its last line's end. */
export async function output(
  machine: Machine,
  program: string | Command["argv"],
  options: CommandOptions = {},
): Promise<string> {
  const ran = await run(machine, program, options);
  assert.equal(
    ran.end.exitCode,
    0,
    `${JSON.stringify(program).slice(0, 300)} failed: ${ran.stderr.slice(-2000)}${ran.end.message ?? ""}`,
  );
  return ran.stdout.replace(/\n$/, "");
}

/** What a Python program prints as JSON. Arguments go in as JSON, too, in `arguments`. */
export async function probe<T>(
  machine: Machine,
  program: string,
  options: CommandOptions & { readonly values?: unknown } = {},
): Promise<T> {
  const { values, ...command } = options;
  const values64 = Buffer.from(JSON.stringify(values ?? null)).toString("base64");
  const prelude = `import json, sys, os, base64\nvalues = json.loads(base64.b64decode("${values64}"))\n`;
  const printed = await output(machine, ["python3", "-c", prelude + program], command);
  const last = printed.split("\n").at(-1) ?? "";
  try {
    const value: T = JSON.parse(last);
    return value;
  } catch (cause) {
    throw new Error(`the probe printed no JSON: ${printed.slice(-500)}`, { cause });
  }
}

/** The error that a promise is rejected with. Fails when it is fulfilled, or when the error has another code. */
export async function refused(
  promise: Promise<unknown>,
  ...codes: readonly ErrorCode[]
): Promise<SandboxError> {
  const outcome = await promise.then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  );
  if (!("error" in outcome)) return assert.fail(`expected ${codes.join(" or ")}, but it succeeded`);
  const { error } = outcome;
  if (!(error instanceof SandboxError))
    return assert.fail(
      `expected a SandboxError, got ${error instanceof Error ? error.stack : String(error)}`,
    );
  assert.ok(
    codes.includes(error.code),
    `expected ${codes.join(" or ")}, got ${error.code}: ${error.message}`,
  );
  assert.ok(error.message.length > 0, "the error has a message");
  return error;
}

/** As `refused`, and the error names the field. */
export async function refusedField(
  promise: Promise<unknown>,
  field: string,
  ...codes: readonly ErrorCode[]
): Promise<void> {
  const error = await refused(promise, ...codes);
  assert.equal(error.field, field, `field of "${error.message}"`);
}

/** Waits until `check` gives something other than undefined. Fails after `limitMs`. */
export async function eventually<T>(
  what: string,
  check: () => Promise<T | undefined>,
  limitMs = 10_000,
): Promise<T> {
  const until = Date.now() + patient(limitMs);
  for (;;) {
    const value = await check();
    if (value !== undefined) return value;
    if (Date.now() > until)
      return assert.fail(`did not happen within ${patient(limitMs)} ms: ${what}`);
    await sleep(50);
  }
}

/** Fails when the promise takes longer; used for "does not hang", never to judge speed. */
export async function within<T>(what: string, limitMs: number, promise: Promise<T>): Promise<T> {
  const over = new AbortController();
  const late = sleep(patient(limitMs), undefined, { signal: over.signal, ref: false }).then(() =>
    assert.fail(`hangs: ${what} took more than ${patient(limitMs)} ms`),
  );
  late.catch(() => undefined);
  try {
    return await Promise.race([promise, late]);
  } finally {
    over.abort();
  }
}

export function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** Whether a pid of the machine is gone, seen from inside it. */
export async function goneInside(machine: Machine, pid: number | string): Promise<boolean> {
  const ran = await run(
    machine,
    `test -e /proc/${pid} && ! grep -q '^State:.*Z' /proc/${pid}/status`,
    { user: "root" },
  );
  return ran.end.exitCode !== 0;
}

export { sleep };
