import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { z } from "zod";
import { type ErrorCode, SandboxError, meanings } from "../../core/errors.ts";
import { cancelled } from "../../core/validate.ts";
import { fileError } from "../../images/file-errors.ts";
import { nativeFile } from "../../images/native.ts";
import type { MachinePlaces } from "./layout.ts";

/** The host's own tools and nothing of the caller's environment. */
const environment = { PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" };
const maxLineBytes = 256 * 1024;

const refused = z.object({
  ok: z.literal(false),
  error: z.object({
    code: z.string(),
    message: z.string(),
    field: z.string().optional(),
    mend: z.string().optional(),
  }),
});
const answer = z.discriminatedUnion("ok", [
  z.object({ ok: z.literal(true), agentVersion: z.string(), protocolVersion: z.string() }),
  refused,
]);
const discarded = z.discriminatedUnion("ok", [z.object({ ok: z.literal(true) }), refused]);
const swept = z.object({ removed: z.array(z.string()) });

/** The supervisor of a running machine, as the process that started it sees it. */
export interface Supervision {
  /** Resolves when the supervisor has exited, which is the last that is left of a machine. */
  exited(): Promise<void>;
}

/**
 * Starts the supervisor of a machine whose plan is written, and resolves when its agent serves.
 *
 * When the signal aborts, resolves to an error once the supervisor has undone what it had begun. Throws what it says.
 */
export async function superviseMachine(
  places: MachinePlaces,
  signal: AbortSignal | undefined,
): Promise<Supervision> {
  return supervise(["run", places.plan], places, signal);
}

/** Starts a supervisor for a paused machine that has none, and resolves when its agent serves. Throws what it says. */
export async function resumeMachine(places: MachinePlaces, lifetimeMs: number): Promise<void> {
  const lifetime = String(Math.max(1, Math.round(lifetimeMs)));
  await supervise(["resume", places.plan, lifetime], places, undefined);
}

/** Removes a paused machine that has no supervisor. Throws `conflict` when it is not paused. */
export async function discardMachine(places: MachinePlaces): Promise<void> {
  const child = start(["discard", places.plan], undefined);
  const line = await firstLine(child);
  await exited(child);
  const said = line === undefined ? undefined : parsed(discarded, line);
  if (said?.ok === true) return;
  throw said === undefined ? wordless() : failure(said.error);
}

async function supervise(
  words: readonly string[],
  places: MachinePlaces,
  signal: AbortSignal | undefined,
): Promise<Supervision> {
  const child = start(words, places.supervisorLog);
  const terminate = (): boolean => child.kill("SIGTERM");
  if (signal?.aborted === true) terminate();
  signal?.addEventListener("abort", terminate, { once: true });
  try {
    const line = await firstLine(child);
    const said = line === undefined ? undefined : parsed(answer, line);
    if (said?.ok === true) return { exited: () => exited(child) };
    await exited(child);
    if (signal?.aborted === true) throw cancelled(signal);
    throw said === undefined ? wordless() : failure(said.error);
  } finally {
    signal?.removeEventListener("abort", terminate);
    child.stdout?.destroy();
    child.unref();
  }
}

/** Ends and removes what dead supervisors left below the state directory. Returns the ids. */
export async function sweepMachines(stateDir: string): Promise<readonly string[]> {
  const child = start(["sweep", stateDir], undefined);
  const line = await firstLine(child);
  await exited(child);
  if (line === undefined)
    throw new SandboxError("internal", "the supervisor could not sweep", {
      mend: "run it as root",
    });
  return parsed(swept, line).removed;
}

function start(words: readonly string[], log: string | undefined): ChildProcess {
  const program = nativeFile("supervisor");
  let complaints: number | "ignore" = "ignore";
  try {
    if (log !== undefined) complaints = openSync(log, "a", 0o600);
    return spawn(program, words, {
      env: environment,
      cwd: "/",
      detached: true,
      stdio: ["ignore", "pipe", complaints],
    });
  } catch (error) {
    throw fileError(error, "start the supervisor");
  } finally {
    if (typeof complaints === "number") closeSync(complaints);
  }
}

/** The child's first line, bounded; `undefined` when it ends before. */
function firstLine(child: ChildProcess): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    let held = "";
    child.once("error", (cause) => {
      const message = `the supervisor cannot be started: ${cause.message}`;
      reject(new SandboxError("internal", message, { cause }));
    });
    child.stdout?.setEncoding("utf8");
    child.stdout?.on("data", (chunk: string) => {
      held += chunk;
      const end = held.indexOf("\n");
      if (end >= 0) resolve(held.slice(0, end));
      else if (held.length > maxLineBytes) resolve(undefined);
    });
    child.stdout?.once("close", () => resolve(undefined));
  });
}

function exited(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  child.ref();
  return new Promise((resolve) => {
    child.once("exit", () => resolve());
  });
}

function parsed<T>(schema: z.ZodType<T>, line: string): T {
  try {
    return schema.parse(JSON.parse(line));
  } catch (cause) {
    throw new SandboxError("internal", "the supervisor broke its protocol", { cause });
  }
}

function wordless(): SandboxError {
  return new SandboxError("internal", "the supervisor ended without a word");
}

interface Refusal {
  readonly code: string;
  readonly message: string;
  readonly field?: string | undefined;
  readonly mend?: string | undefined;
}

function failure({ code, message, field, mend }: Refusal): SandboxError {
  return new SandboxError(isErrorCode(code) ? code : "internal", message, {
    ...(field === undefined ? {} : { field }),
    ...(mend === undefined ? {} : { mend }),
  });
}

function isErrorCode(text: string): text is ErrorCode {
  return Object.hasOwn(meanings, text);
}
