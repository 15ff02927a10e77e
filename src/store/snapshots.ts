import { sql } from "kysely";
import { z } from "zod";
import { SandboxError } from "../core/errors.ts";
import { admitKept } from "./admission.ts";
import type { StoreDatabase } from "./database.ts";
import { digest, parsed, shortText, stored, time } from "./door.ts";
import { isDuplicate } from "./faults.ts";
import { limitOf, type Page, pageOf, placeOf } from "./paging.ts";
import { resourcesSchema } from "./sandbox-rows.ts";
import type { Queries, Schema, Writing } from "./schema.ts";
import { lockedTenant } from "./tenants.ts";
import type { SnapshotListOptions, SnapshotRecord, Snapshots } from "./snapshot-record.ts";

type Row = Schema["snapshots"];

const snapshotSchema: z.ZodType<SnapshotRecord> = z.strictObject({
  id: shortText,
  tenantId: shortText,
  sandboxId: shortText,
  host: shortText,
  driver: shortText,
  template: shortText,
  names: z.array(shortText).max(100),
  digest,
  kept: z.enum(["memory", "files"]),
  sizeBytes: z.number().nonnegative(),
  resources: resourcesSchema,
  createdAt: time,
});

export function snapshots(database: StoreDatabase): Snapshots {
  return {
    create: (snapshot, options) => create(database, snapshot, options),
    find: (idOrName, tenantId) => database.read((queries) => find(queries, { idOrName, tenantId })),
    firstNames: (ids) => database.read((queries) => firstNames(queries, ids)),
    existing: (ids) => database.read((queries) => existing(queries, ids)),
    list: (options) => database.read((queries) => list(queries, options)),
    remove: (id, tenantId) =>
      database.write(
        async (writing) => {
          const { numDeletedRows } = await writing
            .deleteFrom("snapshots")
            .where("id", "=", id)
            .where("tenant_id", "=", tenantId)
            .executeTakeFirstOrThrow();
          return numDeletedRows > 0;
        },
        { survivesPowerLoss: true },
      ),
  };
}

async function create(
  database: StoreDatabase,
  snapshot: SnapshotRecord,
  { mayTakeOver } = { mayTakeOver: true },
): Promise<SnapshotRecord> {
  const checked = parsed(snapshotSchema, snapshot);
  const names = [...new Set(checked.names)].toSorted();
  return database.write(
    async (writing) => {
      const { limits } = await lockedTenant(database, writing, checked.tenantId);
      await admitKept(writing, checked.tenantId, limits);
      await insert(writing, checked);
      for (const name of names) await giveName(writing, checked, { name, mayTakeOver });
      return { ...checked, names };
    },
    { survivesPowerLoss: true },
  );
}

async function giveName(
  writing: Writing,
  { tenantId, id }: SnapshotRecord,
  { name, mayTakeOver }: { readonly name: string; readonly mayTakeOver: boolean },
): Promise<void> {
  const { numInsertedOrUpdatedRows } = await writing
    .insertInto("snapshot_names")
    .values({ tenant_id: tenantId, name, snapshot_id: id })
    .onConflict((conflict) => {
      const taken = conflict.columns(["tenant_id", "name"]);
      return mayTakeOver ? taken.doUpdateSet({ snapshot_id: id }) : taken.doNothing();
    })
    .executeTakeFirstOrThrow();
  if (numInsertedOrUpdatedRows === 0n)
    throw new SandboxError("already-exists", `name: there is a snapshot ${JSON.stringify(name)}`, {
      field: "name",
      mend: "take another name, or remove that snapshot first",
    });
}

async function insert(writing: Writing, snapshot: SnapshotRecord): Promise<void> {
  try {
    await writing
      .insertInto("snapshots")
      .values({
        id: snapshot.id,
        tenant_id: snapshot.tenantId,
        sandbox_id: snapshot.sandboxId,
        driver: snapshot.driver,
        template: snapshot.template,
        digest: snapshot.digest,
        created_at: snapshot.createdAt,
        host: snapshot.host,
        kept: snapshot.kept,
        size_bytes: snapshot.sizeBytes,
        resources: JSON.stringify(snapshot.resources),
      })
      .execute();
  } catch (cause) {
    if (!isDuplicate(cause)) throw cause;
    throw new SandboxError("already-exists", `there is a snapshot ${snapshot.id}`, {
      field: "id",
      cause,
    });
  }
}

async function find(
  queries: Queries,
  { idOrName, tenantId }: { readonly idOrName: string; readonly tenantId: string },
): Promise<SnapshotRecord> {
  const named = queries
    .selectFrom("snapshot_names")
    .select("snapshot_id")
    .where("tenant_id", "=", tenantId)
    .where("name", "=", idOrName);
  const rows = await queries
    .selectFrom("snapshots")
    .selectAll()
    .where("tenant_id", "=", tenantId)
    .where((where) => where.or([where.eb("id", "=", idOrName), where.eb("id", "in", named)]))
    .execute();
  const row = rows.find(({ id }) => id === idOrName) ?? rows[0];
  if (row === undefined) throw new SandboxError("not-found", `there is no snapshot ${idOrName}`);
  const [record] = await withNames(queries, [row]);
  return record ?? recordOf(row, []);
}

const idsAtOnce = 500;

async function existing(queries: Queries, ids: readonly string[]): Promise<ReadonlySet<string>> {
  const found = new Set<string>();
  for (let from = 0; from < ids.length; from += idsAtOnce) {
    const rows = await queries
      .selectFrom("snapshots")
      .select("id")
      .where("id", "in", ids.slice(from, from + idsAtOnce))
      .execute();
    for (const { id } of rows) found.add(id);
  }
  return found;
}

async function firstNames(
  queries: Queries,
  ids: readonly string[],
): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string>();
  for (let from = 0; from < ids.length; from += idsAtOnce) {
    const rows = await queries
      .selectFrom("snapshot_names")
      .select(({ fn }) => ["snapshot_id", fn.min("name").as("name")])
      .where("snapshot_id", "in", ids.slice(from, from + idsAtOnce))
      .groupBy("snapshot_id")
      .execute();
    for (const { snapshot_id: id, name } of rows) found.set(id, name);
  }
  return found;
}

async function list(
  queries: Queries,
  { tenantId, host, sandboxId, name, limit: wanted, token }: SnapshotListOptions = {},
): Promise<Page<SnapshotRecord>> {
  const limit = limitOf(wanted);
  const place = placeOf(token);
  let query = queries.selectFrom("snapshots").selectAll();
  if (tenantId !== undefined) query = query.where("tenant_id", "=", tenantId);
  if (host !== undefined) query = query.where("host", "=", host);
  if (sandboxId !== undefined) query = query.where("sandbox_id", "=", sandboxId);
  if (name !== undefined)
    query = query.where("id", "in", (builder) =>
      builder.selectFrom("snapshot_names").select("snapshot_id").where("name", "=", name),
    );
  if (place !== undefined)
    query = query.where(sql<boolean>`(created_at, id) < (${place[0]}, ${place[1]})`);
  const rows = await query
    .orderBy("created_at", "desc")
    .orderBy("id", "desc")
    .limit(limit + 1)
    .execute();
  const page = pageOf(rows, limit, {
    place: (row) => [row.created_at, row.id],
    record: (row) => row,
  });
  return { ...page, records: await withNames(queries, page.records) };
}

async function withNames(
  queries: Queries,
  rows: readonly Row[],
): Promise<readonly SnapshotRecord[]> {
  if (rows.length === 0) return [];
  const named = await queries
    .selectFrom("snapshot_names")
    .select(["snapshot_id", "name"])
    .where(
      "snapshot_id",
      "in",
      rows.map(({ id }) => id),
    )
    .orderBy("name")
    .execute();
  return rows.map((row) =>
    recordOf(
      row,
      named.filter(({ snapshot_id: id }) => id === row.id).map(({ name }) => name),
    ),
  );
}

function recordOf(row: Row, names: readonly string[]): SnapshotRecord {
  return {
    id: row.id,
    tenantId: row.tenant_id,
    sandboxId: row.sandbox_id,
    driver: row.driver,
    template: row.template,
    names,
    digest: row.digest,
    host: row.host,
    kept: row.kept,
    sizeBytes: row.size_bytes,
    resources: stored(resourcesSchema, row.resources),
    createdAt: row.created_at,
  };
}
