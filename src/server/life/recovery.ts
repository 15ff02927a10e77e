import { setTimeout as sleep } from "node:timers/promises";
import type { Driver, MachineInfo } from "../../core/driver.ts";
import { SandboxError } from "../../core/errors.ts";
import type { SandboxRecord } from "../../store/sandbox-record.ts";
import type { LiveSandbox } from "./live.ts";
import { markedLease } from "./owner-leases.ts";
import { type LifeParts, serverMark } from "./parts.ts";
import { settle } from "./power.ts";

/** How long an idle sandbox of an earlier server is left alone at least, so that its users can come back. Milliseconds. */
const graceMs = 10_000;

/** What a look round found. */
export interface Found {
  readonly adopted: number;
  /** Rows whose machine is gone. */
  readonly closed: number;
  /** Machines that no row knows. */
  readonly ended: number;
}

const atOnce = 8;

/**
 * Joins rows with machines: takes over what both know, closes rows that have no machine, ends machines of a server that
 * no row knows. What cannot be judged now is left to the next look.
 */
export async function lookRound(parts: LifeParts): Promise<Found> {
  const machines = await machinesOf(parts);
  const states = new Map(machines.map(({ info }) => [info.id, info.state]));
  const rows = await liveRows(parts);
  const found = { adopted: 0, closed: 0, ended: 0 };
  await inGroups(rows, async (row) => {
    const fate = await fateOf(parts, row, states.get(row.id));
    if (fate === "adopted") found.adopted += 1;
    if (fate === "gone") found.closed += Number(await closeRow(parts, row));
  });
  const known = new Set(rows.filter(({ state }) => state !== "creating").map(({ id }) => id));
  const strays = machines.filter(({ info }) => isServers(info) && !known.has(info.id));
  await inGroups(strays, async ({ driver, info }) => {
    if (!parts.making.has(info.id) && (await isStray(parts, info.id)))
      found.ended += Number(await parts.ends(() => endStray(parts, driver, info.id)));
  });
  return found;
}

type State = MachineInfo["state"];

/** What becomes of a row: its machine is taken over, is gone, or all is left as it is. */
async function fateOf(
  parts: LifeParts,
  row: SandboxRecord,
  state: State | undefined,
): Promise<"adopted" | "gone" | "left"> {
  const { live, making, log } = parts;
  const known = live.get(row.id);
  if (making.has(row.id)) return "left";
  if (known === undefined && row.state === "creating") return "gone";
  try {
    if (known === undefined) return await adopt(parts, row);
    if (row.state !== state) await soon(known.inTurn(() => compare(parts, known)));
    return "left";
  } catch (cause) {
    const error = SandboxError.from(cause);
    if (error.code === "not-found") return "gone";
    log("error", "a sandbox could not be found again yet", {
      sandboxId: row.id,
      error: error.message,
    });
    return "left";
  }
}

/** How long a look round waits for one sandbox that is busy with something else. Milliseconds. */
const busyMs = 5_000;

/** What takes longer goes on, and is judged at a later look: no sandbox holds up what is done for all others. */
async function soon(compared: Promise<unknown>): Promise<void> {
  const over = new AbortController();
  const late = sleep(busyMs, undefined, { signal: over.signal, ref: false });
  try {
    await Promise.race([compared, late]);
  } finally {
    over.abort();
  }
}

interface Listed {
  readonly driver: Driver;
  readonly info: MachineInfo;
}

async function machinesOf({ drivers }: LifeParts): Promise<readonly Listed[]> {
  const machines: Listed[] = [];
  for (const driver of drivers.values())
    for await (const info of driver.list()) machines.push({ driver, info });
  return machines;
}

function isServers({ metadata }: MachineInfo): boolean {
  return metadata[serverMark] !== undefined;
}

/** Rows of this host's sandboxes that have not ended. */
async function liveRows({
  store: { sandboxes },
  host,
}: LifeParts): Promise<readonly SandboxRecord[]> {
  const rows: SandboxRecord[] = [];
  let token: string | undefined;
  do {
    const page = await sandboxes.list({
      hosts: [host, ""],
      states: ["creating", "running", "pausing", "paused", "resuming"],
      limit: 1000,
      ...(token === undefined ? {} : { token }),
    });
    rows.push(...page.records);
    token = page.nextToken;
  } while (token !== undefined);
  return rows;
}

async function adopt(parts: LifeParts, row: SandboxRecord): Promise<"adopted"> {
  const { drivers, leases, live, store, host } = parts;
  const driver = drivers.get(row.driver);
  if (driver === undefined)
    throw new SandboxError("unavailable", `its driver ${row.driver} is not here`);
  const machine = await driver.open(row.id);
  const secrets = await store.sandboxes.secrets(row.id);
  if (row.host !== host) await store.sandboxes.setHost([row.id], host);
  const sandbox = live.add({ record: row, secrets }, machine);
  await sandbox.inTurn(() => settle(parts, sandbox, firstIdleMs(row)));
  sandbox.leaseMs = markedLease((await machine.info()).metadata);
  if (sandbox.leaseMs !== undefined && sandbox.gate.isOpen) leases.renew(row.id, sandbox.leaseMs);
  return "adopted";
}

/** A sandbox that is known may have been paused, resumed or ended by somebody else on this host. */
async function compare(parts: LifeParts, sandbox: LiveSandbox): Promise<void> {
  const { state } = await parts.store.sandboxes.get(sandbox.id);
  if (state === "ended" || sandbox.isEnding) return;
  try {
    await settle(parts, sandbox);
  } catch (cause) {
    if (SandboxError.from(cause).code !== "not-found") throw cause;
    await sandbox.end("runtime-lost");
  }
}

/** How long one that runs may go unused at first: as if this server had seen its last use. */
function firstIdleMs({ idleTimeoutMs, lastUsedAt, startedAt }: SandboxRecord): number {
  const unusedMs = Date.now() - Date.parse(lastUsedAt ?? startedAt);
  return Math.max(idleTimeoutMs - unusedMs, Math.min(idleTimeoutMs, graceMs));
}

async function closeRow({ store, log }: LifeParts, row: SandboxRecord): Promise<boolean> {
  const endReason = closingReason(row);
  try {
    await store.sandboxes.move(row.id, { from: row.state, to: "ended", changes: { endReason } });
  } catch (cause) {
    if (SandboxError.from(cause).code !== "conflict") throw cause;
    return false;
  }
  log("info", "a sandbox has ended unseen", { sandboxId: row.id, reason: endReason });
  return true;
}

function closingReason({ state, endAt }: SandboxRecord): string {
  if (state === "creating") return "the server ended while it was made";
  if (state === "paused") return "runtime-lost";
  return endAt <= new Date().toISOString() ? "lifetime" : "runtime-lost";
}

/** Whether the row of a machine that was listed is still not there, or closed. */
async function isStray({ store }: LifeParts, id: string): Promise<boolean> {
  try {
    return (await store.sandboxes.get(id)).state === "ended";
  } catch (cause) {
    if (SandboxError.from(cause).code !== "not-found") throw cause;
    return true;
  }
}

async function endStray({ log }: LifeParts, driver: Driver, id: string): Promise<boolean> {
  try {
    const machine = await driver.open(id);
    await machine[Symbol.asyncDispose]();
  } catch (cause) {
    const { code, message } = SandboxError.from(cause);
    if (code === "not-found") return false;
    log("error", "a machine that no sandbox has could not be ended", {
      sandboxId: id,
      error: message,
    });
    return false;
  }
  log("warn", "ended a machine that no sandbox has", { sandboxId: id });
  return true;
}

async function inGroups<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  for (let from = 0; from < items.length; from += atOnce)
    await Promise.all(items.slice(from, from + atOnce).map(work));
}
