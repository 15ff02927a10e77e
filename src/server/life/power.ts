import { setTimeout as sleep } from "node:timers/promises";
import type { Machine, MachineInfo, Power } from "../../core/driver.ts";
import { SandboxError } from "../../core/errors.ts";
import type { Kept } from "../../core/kept.ts";
import type { SandboxMove, SandboxRecord } from "../../store/sandbox-record.ts";
import { type LiveSandbox, begin, rest } from "./live.ts";
import { type LifeParts, noSandbox } from "./parts.ts";
import { roomFor } from "./room.ts";

/** In the words of E2B's clients. */
export const pauseMend =
  "`keepMemory: false` keeps the files alone; pauseKeeps of GET /cofferdam/v1/drivers says what each driver keeps";

type Parts = Pick<LifeParts, "store" | "memory" | "leases" | "turnstile" | "disk">;

/** The power to pause. Throws `unsupported` where the machine lacks it, or cannot keep what is to be kept. */
export function powerOver({ machine }: LiveSandbox, driver: string, kept: Kept): Power {
  const { power } = machine;
  if (power === undefined)
    throw new SandboxError("unsupported", `the driver ${driver} has no pause`, {
      field: "pause",
      mend: pauseMend,
    });
  if (power.keeps.includes(kept)) return power;
  const what = kept === "memory" ? "the memory" : "the files alone";
  throw new SandboxError("unsupported", `memory: the driver ${driver} cannot keep ${what}`, {
    field: "memory",
    mend: pauseMend,
  });
}

interface Pausing {
  readonly record: SandboxRecord;
  readonly kept: Kept;
}

/** Pauses a sandbox whose row says that it runs; in its turn. A pause that fails leaves it running. */
export function pauseNow(parts: Parts, sandbox: LiveSandbox, pausing: Pausing): Promise<void> {
  return unlessKilled(sandbox, () => pause(parts, sandbox, pausing));
}

/** What a kill came before is of a sandbox that is gone, not of one in another state. */
async function unlessKilled<T>(sandbox: LiveSandbox, change: () => Promise<T>): Promise<T> {
  try {
    return await change();
  } catch (cause) {
    const { code } = SandboxError.from(cause);
    throw sandbox.isEnding && code === "conflict" ? noSandbox(sandbox.id, cause) : cause;
  }
}

async function pause(parts: Parts, sandbox: LiveSandbox, { record, kept }: Pausing): Promise<void> {
  const power = powerOver(sandbox, record.driver, kept);
  await parts.store.sandboxes.move(sandbox.id, {
    from: "running",
    to: "pausing",
    changes: { kept },
  });
  sandbox.gate.shut();
  try {
    await power.pause(kept);
  } catch (cause) {
    if (SandboxError.from(cause).code === "conflict") await pausedByItself(sandbox);
    const after = await settle(parts, sandbox);
    if (after.state !== "paused") throw cause;
    return;
  }
  await settle(parts, sandbox);
}

/** How long a pause that somebody else has begun may take. Milliseconds. */
const othersPauseMs = 30_000;
const lookEveryMs = 50;

/** Waits for the pause that this one came too late for: at the end of a lifetime the machine's own supervisor begins one. */
async function pausedByItself({ machine }: LiveSandbox): Promise<void> {
  const until = Date.now() + othersPauseMs;
  while (Date.now() < until && (await infoOf(machine)).state !== "paused") await sleep(lookEveryMs);
}

export interface Resumption {
  readonly record: SandboxRecord;
  readonly lifetimeMs: number;
  /** Whether it starts anew from its files although its memory was kept. */
  readonly anew: boolean;
}

/** Resumes a sandbox whose row says that it is paused; in its turn. A resumption that fails leaves it paused. */
export function resumeNow(
  parts: Parts,
  sandbox: LiveSandbox,
  resumption: Resumption,
): Promise<SandboxRecord> {
  return unlessKilled(sandbox, () => resume(parts, sandbox, resumption));
}

async function resume(
  parts: Parts,
  sandbox: LiveSandbox,
  { record, lifetimeMs, anew }: Resumption,
): Promise<SandboxRecord> {
  const { kept, driver, resources } = record;
  const power = powerOver(sandbox, driver, anew ? "files" : (kept ?? "memory"));
  const { tenantId, holdsMemory: isPromised } = sandbox;
  const { memoryMiB } = resources;
  const wanted = { tenantId, memoryMiB, isPromised, diskMiB: 0, signal: undefined };
  using _ = await roomFor(parts, wanted);
  await parts.store.sandboxes.move(sandbox.id, {
    from: "paused",
    to: "resuming",
    changes: { lifetimeMs },
  });
  try {
    await power.resume(lifetimeMs, anew ? "files" : "memory");
  } catch (cause) {
    await settle(parts, sandbox);
    throw cause;
  }
  const after = await settle(parts, sandbox);
  if (sandbox.leaseMs !== undefined) parts.leases.renew(sandbox.id, sandbox.leaseMs);
  return after;
}

/**
 * Makes row and gate as the machine is, and resolves with the row. Throws `not-found` where the machine has ended.
 *
 * A server that died half-way has left a row between two states; the machine is in one of them. `firstIdleMs` is how long
 * one that runs may go unused at first.
 */
export async function settle(
  { store }: Pick<Parts, "store">,
  sandbox: LiveSandbox,
  firstIdleMs?: number,
): Promise<SandboxRecord> {
  const { id, machine, gate } = sandbox;
  const info = await infoOf(machine);
  let record = await store.sandboxes.get(id);
  const changes = { endAt: info.endAt.toISOString(), agentVersion: info.protocolVersion };
  for (const move of movesTo(info.state, record))
    record = await store.sandboxes.move(
      id,
      move.to === "running" ? { ...move, changes: { ...move.changes, ...changes } } : move,
    );
  if (record.state === "ended") throw noSandbox(id);
  if (info.state === "paused") rest(sandbox, info);
  else if (!gate.isOpen) begin(sandbox, record, firstIdleMs);
  return record;
}

async function infoOf(machine: Machine): Promise<MachineInfo> {
  try {
    return await machine.info();
  } catch (cause) {
    const { code } = SandboxError.from(cause);
    throw code === "lost" || code === "not-found" ? noSandbox(machine.id, cause) : cause;
  }
}

/** How a row comes to the state that its machine is in. */
function movesTo(
  state: MachineInfo["state"],
  { state: from, pauseKeeps }: SandboxRecord,
): readonly SandboxMove[] {
  if (state === "paused") {
    if (from === "running")
      return [
        { from, to: "pausing", changes: { kept: pauseKeeps } },
        { from: "pausing", to: "paused" },
      ];
    return from === "pausing" || from === "resuming" ? [{ from, to: "paused" }] : [];
  }
  if (from === "paused")
    return [
      { from, to: "resuming" },
      { from: "resuming", to: "running" },
    ];
  return from === "pausing" || from === "resuming" ? [{ from, to: "running" }] : [];
}
