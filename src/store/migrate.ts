import { sql } from "kysely";
import { SandboxError } from "../core/errors.ts";
import { timeNow } from "./times.ts";
import type { StoreDatabase } from "./database.ts";
import { type Migration, migrations } from "./migrations/migrations.ts";
import type { Writing } from "./schema.ts";

/**
 * Brings the schema to this program's version, in one transaction that no two programs run at once.
 *
 * Throws `unavailable` for a schema of a newer version.
 */
export async function migrate(
  database: StoreDatabase,
  steps: readonly Migration[] = migrations,
): Promise<void> {
  await database.write(
    async (writing) => {
      await database.exclusively(writing, "migrations");
      const version = await schemaVersion(writing);
      if (version > steps.length) throw newer(version, steps.length);
      for (const [index, step] of steps.entries()) {
        if (index >= version) await apply(writing, { version: index + 1, step, database });
      }
    },
    { survivesPowerLoss: true },
  );
}

async function schemaVersion(writing: Writing): Promise<number> {
  await sql`create table if not exists migrations (
    version integer primary key, name text not null, applied_at text not null
  )`.execute(writing);
  const { version } = await writing
    .selectFrom("migrations")
    .select(({ fn }) => fn.coalesce(fn.max("version"), sql<number>`0`).as("version"))
    .executeTakeFirstOrThrow();
  return version;
}

async function apply(
  writing: Writing,
  { version, step, database }: { version: number; step: Migration; database: StoreDatabase },
): Promise<void> {
  for (const statement of step.statements(database.kind)) await sql.raw(statement).execute(writing);
  await writing
    .insertInto("migrations")
    .values({ version, name: step.name, applied_at: timeNow() })
    .execute();
}

function newer(found: number, known: number): SandboxError {
  return new SandboxError(
    "unavailable",
    `the store has schema version ${found}, and this program knows ${known}`,
    { mend: "use the version of Cofferdam that wrote it, or a newer one" },
  );
}
