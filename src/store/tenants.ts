import type { Selectable } from "kysely";
import { z } from "zod";
import { SandboxError } from "../core/errors.ts";
import type { StoreDatabase } from "./database.ts";
import { count, parsed, positive, shortText, stored } from "./door.ts";
import { isDuplicate } from "./faults.ts";
import { newId } from "./ids.ts";
import type { Schema, Writing } from "./schema.ts";
import type { NewTenant, Tenant, TenantLimits, Tenants } from "./tenant.ts";
import { timeNow } from "./times.ts";

const defaultLimits: TenantLimits = {
  maxSandboxes: 100,
  maxCpus: 64,
  maxMemoryMiB: 65_536,
  maxKept: 500,
  maxLifetimeMs: 86_400_000,
  createsPerMinute: 120,
};

const limitsSchema: z.ZodType<TenantLimits> = z.strictObject({
  maxSandboxes: count,
  maxCpus: positive,
  maxMemoryMiB: positive,
  maxKept: count.default(defaultLimits.maxKept),
  maxLifetimeMs: positive,
  createsPerMinute: count,
});

export function tenants(database: StoreDatabase): Tenants {
  return {
    create: (tenant) => create(database, tenant),
    get: (id) =>
      database.read(async (queries) => {
        const row = await queries
          .selectFrom("tenants")
          .selectAll()
          .where("id", "=", id)
          .executeTakeFirst();
        return tenantOf(present(row, id));
      }),
    named: (name) =>
      database.read(async (queries) => {
        const row = await queries
          .selectFrom("tenants")
          .selectAll()
          .where("name", "=", name)
          .executeTakeFirst();
        return row && tenantOf(row);
      }),
    list: () =>
      database.read(async (queries) => {
        const rows = await queries.selectFrom("tenants").selectAll().orderBy("name").execute();
        return rows.map(tenantOf);
      }),
    setLimits: (id, limits) => setLimits(database, id, limits),
  };
}

async function create(database: StoreDatabase, tenant: NewTenant): Promise<Tenant> {
  const { name } = parsed(z.object({ name: shortText }), tenant);
  const limits = parsed(limitsSchema, { ...defaultLimits, ...tenant.limits });
  const row = {
    id: newId("t"),
    name,
    limits: JSON.stringify(limits),
    created_at: timeNow(),
  };
  return database.write(
    async (writing) => {
      try {
        await writing.insertInto("tenants").values(row).execute();
      } catch (cause) {
        if (!isDuplicate(cause)) throw cause;
        throw new SandboxError("already-exists", `there is a tenant named ${name}`, {
          field: "name",
          cause,
        });
      }
      return tenantOf(row);
    },
    { survivesPowerLoss: true },
  );
}

async function setLimits(
  database: StoreDatabase,
  id: string,
  limits: Partial<TenantLimits>,
): Promise<Tenant> {
  return database.write(
    async (writing) => {
      const found = await lockedTenant(database, writing, id);
      const changed = parsed(limitsSchema, { ...found.limits, ...limits });
      await writing
        .updateTable("tenants")
        .set({ limits: JSON.stringify(changed) })
        .where("id", "=", id)
        .execute();
      return { ...found, limits: changed };
    },
    { survivesPowerLoss: true },
  );
}

/** The tenant, which no other transaction counts against until this one ends. Throws `not-found`. */
export async function lockedTenant(
  database: StoreDatabase,
  writing: Writing,
  id: string,
): Promise<Tenant> {
  const row = await writing
    .selectFrom("tenants")
    .selectAll()
    .where("id", "=", id)
    .$if(database.kind === "postgresql", (query) => query.forUpdate())
    .executeTakeFirst();
  return tenantOf(present(row, id));
}

function present<Row>(row: Row | undefined, id: string): Row {
  if (row === undefined) throw new SandboxError("not-found", `there is no tenant ${id}`);
  return row;
}

export function tenantOf(row: Selectable<Schema["tenants"]>): Tenant {
  return {
    id: row.id,
    name: row.name,
    limits: stored(limitsSchema, row.limits),
    createdAt: row.created_at,
  };
}
