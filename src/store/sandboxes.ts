import { z } from "zod";
import { SandboxError } from "../core/errors.ts";
import { admit, admitKept, admitRate, usageOf } from "./admission.ts";
import type { StoreDatabase } from "./database.ts";
import { parsed, shortText, stored, textPairs, time } from "./door.ts";
import { isDuplicate } from "./faults.ts";
import { countSandboxes, listSandboxes } from "./sandbox-list.ts";
import { moveSandbox, noSandbox, setEndAt } from "./sandbox-moves.ts";
import type { NewSandbox, Sandboxes, SandboxRecord, SandboxSecrets } from "./sandbox-record.ts";
import { network as networkSchema, newSandboxSchema, recordOf, rowOf } from "./sandbox-rows.ts";
import type { Queries, SandboxTable, Writing } from "./schema.ts";
import { lockedTenant } from "./tenants.ts";

export function sandboxes(database: StoreDatabase): Sandboxes {
  return {
    create: (sandbox) => create(database, sandbox),
    get: (id, tenantId) => database.read((queries) => get(queries, id, tenantId)),
    secrets: (id) => database.read((queries) => secrets(queries, id)),
    list: (options) => database.read((queries) => listSandboxes(queries, options)),
    count: (filter) => database.read((queries) => countSandboxes(queries, filter)),
    usage: (tenantId) => database.read((queries) => usageOf(queries, tenantId)),
    move: (id, move) => moveSandbox(database, id, move),
    setEndAt: (id, endAt, { onlyLater = false, lifetimeMs } = {}) =>
      setEndAt(database, id, { endAt, onlyLater, lifetimeMs }),
    setHost: (ids, host) => noteOf(database, ids, { host: parsed(shortText, host) }),
    setLastUsedAt: (ids, at) => noteOf(database, ids, { last_used_at: parsed(time, at) }),
    setNetwork: (id, network) => setNetwork(database, id, network),
    forgetEndedBefore: (before) => forgetEndedBefore(database, before),
  };
}

async function create(database: StoreDatabase, sandbox: NewSandbox): Promise<SandboxRecord> {
  const checked = parsed(newSandboxSchema, sandbox);
  const row = rowOf(checked);
  return database.write(async (writing) => {
    const { limits } = await lockedTenant(database, writing, checked.tenantId);
    await admitRate(writing, checked.tenantId, limits);
    await admitKept(writing, checked.tenantId, limits);
    admit(limits, await usageOf(writing, checked.tenantId), checked.resources);
    await insert(writing, row, checked);
    return recordOf(row);
  });
}

async function insert(
  writing: Writing,
  row: SandboxTable,
  { id, metadata, secrets: kept }: NewSandbox,
): Promise<void> {
  try {
    await writing.insertInto("sandboxes").values(row).execute();
  } catch (cause) {
    if (!isDuplicate(cause)) throw cause;
    throw new SandboxError("already-exists", `there is a sandbox ${id}`, { field: "id", cause });
  }
  const pairs = Object.entries(metadata).map(([name, value]) => ({ sandbox_id: id, name, value }));
  if (pairs.length > 0) await writing.insertInto("sandbox_metadata").values(pairs).execute();
  await writing
    .insertInto("sandbox_secrets")
    .values({
      sandbox_id: id,
      envd_access_token: kept.envdAccessToken,
      traffic_access_token: kept.trafficAccessToken,
      envs: JSON.stringify(kept.envs),
    })
    .execute();
}

async function get(
  queries: Queries,
  id: string,
  tenantId: string | undefined,
): Promise<SandboxRecord> {
  const row = await queries
    .selectFrom("sandboxes")
    .selectAll()
    .where("id", "=", id)
    .executeTakeFirst();
  if (row === undefined || (tenantId !== undefined && row.tenant_id !== tenantId))
    throw noSandbox(id);
  return recordOf(row);
}

async function secrets(queries: Queries, id: string): Promise<SandboxSecrets> {
  const row = await queries
    .selectFrom("sandbox_secrets")
    .selectAll()
    .where("sandbox_id", "=", id)
    .executeTakeFirst();
  if (row === undefined) throw noSandbox(id);
  return {
    envdAccessToken: row.envd_access_token,
    trafficAccessToken: row.traffic_access_token,
    envs: stored(textPairs, row.envs),
  };
}

async function setNetwork(
  database: StoreDatabase,
  id: string,
  network: unknown,
): Promise<SandboxRecord> {
  const { network: checked } = parsed(z.object({ network: networkSchema }), { network });
  return database.write(async (writing) => {
    const row = await writing
      .updateTable("sandboxes")
      .set({ network: JSON.stringify(checked) })
      .where("id", "=", id)
      .where("state", "<>", "ended")
      .returningAll()
      .executeTakeFirst();
    if (row === undefined) throw noSandbox(id);
    return recordOf(row);
  });
}

const idsAtOnce = 500;

/** Writes what is known of several sandboxes that have not ended. */
async function noteOf(
  database: StoreDatabase,
  ids: readonly string[],
  note: Pick<SandboxTable, "host"> | Pick<SandboxTable, "last_used_at">,
): Promise<void> {
  if (ids.length === 0) return;
  await database.write(async (writing) => {
    for (let from = 0; from < ids.length; from += idsAtOnce)
      await writing
        .updateTable("sandboxes")
        .set(note)
        .where("id", "in", ids.slice(from, from + idsAtOnce))
        .where("state", "<>", "ended")
        .execute();
  });
}

async function forgetEndedBefore(database: StoreDatabase, before: string): Promise<number> {
  parsed(time, before);
  return database.write(async (writing) => {
    const { numDeletedRows } = await writing
      .deleteFrom("sandboxes")
      .where("state", "=", "ended")
      .where("ended_at", "<", before)
      .executeTakeFirstOrThrow();
    return Number(numDeletedRows);
  });
}
