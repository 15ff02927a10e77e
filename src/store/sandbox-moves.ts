import { SandboxError } from "../core/errors.ts";
import { admit, usageOf } from "./admission.ts";
import type { StoreDatabase } from "./database.ts";
import { parsed, positive, time } from "./door.ts";
import type { SandboxMove, SandboxRecord } from "./sandbox-record.ts";
import { changesSchema, columnsOf, recordOf } from "./sandbox-rows.ts";
import type { SandboxTable, Writing } from "./schema.ts";
import { isMove, type SandboxState } from "./state-moves.ts";
import { lockedTenant } from "./tenants.ts";
import { timeNow } from "./times.ts";

/** Moves the state of a sandbox: of any number of callers, one wins. */
export async function moveSandbox(
  database: StoreDatabase,
  id: string,
  move: SandboxMove,
): Promise<SandboxRecord> {
  const from = checkedFrom(move);
  const changes = parsed(changesSchema, move.changes ?? {});
  return database.write(
    async (writing) => {
      const row = await lockedSandbox(database, writing, id);
      if (!from.includes(row.state)) throw conflict(row, move.to);
      if (row.state === "paused" && move.to === "resuming") {
        const tenant = await lockedTenant(database, writing, row.tenant_id);
        const memoryMiB = row.paused_kind === "memory" ? 0 : row.memory_mib;
        const wanted = { cpus: row.cpus, memoryMiB };
        admit(tenant.limits, await usageOf(writing, row.tenant_id), wanted);
      }
      if (move.to === "ended") await forgetSecrets(writing, id);
      const moved = await writing
        .updateTable("sandboxes")
        .set({ ...columnsOf(changes), ...stateColumns(move.to) })
        .where("id", "=", id)
        .where("state", "=", row.state)
        .returningAll()
        .executeTakeFirstOrThrow();
      return recordOf(moved);
    },
    { survivesPowerLoss: move.to === "paused" },
  );
}

/** The states to move from. Throws `invalid` for a move that no sandbox makes, or that lacks what it must bring. */
function checkedFrom({ from, to, changes = {} }: SandboxMove): readonly SandboxState[] {
  const states = typeof from === "string" ? [from] : from;
  const wrong = states.find((state) => !isMove(state, to));
  if (wrong !== undefined)
    throw new SandboxError("invalid", `no sandbox moves from ${wrong} to ${to}`, { field: "to" });
  if (to === "ended" && changes.endReason === undefined)
    throw new SandboxError("invalid", "an end has a reason", { field: "changes.endReason" });
  if (to === "pausing" && changes.kept === undefined)
    throw new SandboxError("invalid", "a pause keeps something", { field: "changes.kept" });
  return states;
}

function stateColumns(to: SandboxState): Partial<SandboxTable> {
  if (to === "running") return { state: to, paused_kind: null, paused_digest: null };
  if (to === "ended")
    return { state: to, paused_kind: null, paused_digest: null, ended_at: timeNow() };
  return { state: to };
}

function conflict(row: SandboxTable, to: SandboxState): SandboxError {
  return new SandboxError("conflict", `sandbox ${row.id} is ${row.state}, so it cannot be ${to}`, {
    field: "state",
  });
}

async function forgetSecrets(writing: Writing, id: string): Promise<void> {
  await writing.deleteFrom("sandbox_secrets").where("sandbox_id", "=", id).execute();
}

/** The row, which nobody else changes until the transaction ends. Throws `not-found`. */
async function lockedSandbox(
  database: StoreDatabase,
  writing: Writing,
  id: string,
): Promise<SandboxTable> {
  const row = await writing
    .selectFrom("sandboxes")
    .selectAll()
    .where("id", "=", id)
    .$if(database.kind === "postgresql", (query) => query.forUpdate())
    .executeTakeFirst();
  if (row === undefined) throw noSandbox(id);
  return row;
}

export function noSandbox(id: string): SandboxError {
  return new SandboxError("not-found", `there is no sandbox ${id}`);
}

/** Sets when the lifetime ends, and how long it is; with `onlyLater`, only when that is later. */
export async function setEndAt(
  database: StoreDatabase,
  id: string,
  { endAt, onlyLater, lifetimeMs }: EndAt,
): Promise<SandboxRecord> {
  parsed(time, endAt);
  if (lifetimeMs !== undefined) parsed(positive, lifetimeMs);
  return database.write(async (writing) => {
    const row = await lockedSandbox(database, writing, id);
    if (row.state === "ended") throw noSandbox(id);
    if (onlyLater && row.end_at >= endAt) return recordOf(row);
    const changes = { end_at: endAt, lifetime_ms: lifetimeMs ?? row.lifetime_ms };
    await writing.updateTable("sandboxes").set(changes).where("id", "=", id).execute();
    return recordOf({ ...row, ...changes });
  });
}

interface EndAt {
  readonly endAt: string;
  readonly onlyLater: boolean;
  readonly lifetimeMs: number | undefined;
}
