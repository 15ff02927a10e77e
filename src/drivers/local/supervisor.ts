import { z } from "zod";
import { type ErrorCode, SandboxError, meanings } from "../../core/errors.ts";
import type { Kept } from "../../core/kept.ts";
import { cancelled } from "../../core/validate.ts";
import { type SupervisorProgram, launch } from "./launch.ts";
import type { MachinePlaces } from "./layout.ts";

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
const sweptEngine = swept.extend({ ok: z.literal(true) });

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
  program: SupervisorProgram = "supervisor",
): Promise<Supervision> {
  return supervise(["run", places.plan], { places, program }, signal);
}

export interface Resumption {
  readonly lifetimeMs: number;
  /** Of the runtime that is here now. */
  readonly version: string;
  /** `files`: it starts anew, although its memory may have been kept. */
  readonly from: Kept;
}

/** Starts a supervisor for a paused machine that has none, and resolves when its agent serves. Throws what it says. */
export async function resumeMachine(
  places: MachinePlaces,
  { lifetimeMs, version, from }: Resumption,
): Promise<void> {
  const lifetime = String(Math.max(1, Math.round(lifetimeMs)));
  const anew = from === "files" ? ["anew"] : [];
  const words = ["resume", places.plan, lifetime, version, ...anew];
  await supervise(words, { places, program: "supervisor" }, undefined);
}

/** Removes a paused machine that has no supervisor. Throws `conflict` when it is not paused. */
export async function discardMachine(places: MachinePlaces): Promise<void> {
  const line = await lastWords(["discard", places.plan]);
  const said = line === undefined ? undefined : parsed(discarded, line);
  if (said?.ok === true) return;
  throw said === undefined ? wordless() : failure(said.error);
}

interface Supervised {
  readonly places: MachinePlaces;
  readonly program: SupervisorProgram;
}

async function supervise(
  words: readonly string[],
  { places, program }: Supervised,
  signal: AbortSignal | undefined,
): Promise<Supervision> {
  const launched = launch(words, places.supervisorLog, program);
  const terminate = (): void => launched.terminate();
  if (signal?.aborted === true) terminate();
  signal?.addEventListener("abort", terminate, { once: true });
  try {
    const line = await launched.firstLine();
    const said = line === undefined ? undefined : parsed(answer, line);
    if (said?.ok === true) return { exited: () => launched.exited() };
    await launched.exited();
    if (signal?.aborted === true) throw cancelled(signal);
    throw said === undefined ? wordless() : failure(said.error);
  } finally {
    signal?.removeEventListener("abort", terminate);
  }
}

/** Ends and removes what dead supervisors left below the state directory. Returns the ids. */
export async function sweepMachines(stateDir: string): Promise<readonly string[]> {
  const line = await lastWords(["sweep", stateDir]);
  if (line === undefined)
    throw new SandboxError("internal", "the supervisor could not sweep", {
      mend: "run it as root",
    });
  return parsed(swept, line).removed;
}

/** Has the other supervisor end what dead ones of its own left at an Engine. Returns the ids. Throws what it says. */
export async function sweepEngine(
  stateDir: string,
  engine: { readonly socket: string; readonly api: string },
): Promise<readonly string[]> {
  const words = ["sweep", stateDir, engine.socket, engine.api.slice(1)];
  const line = await lastWords(words, "engine-supervisor");
  if (line === undefined) throw wordless();
  const said = parsed(z.discriminatedUnion("ok", [sweptEngine, refused]), line);
  if (said.ok) return said.removed;
  throw failure(said.error);
}

/** What one that makes no machine says before it exits. */
async function lastWords(
  words: readonly string[],
  program: SupervisorProgram = "supervisor",
): Promise<string | undefined> {
  const launched = launch(words, undefined, program);
  const line = await launched.firstLine();
  await launched.exited();
  return line;
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
