import { Kysely, PostgresDialect, sql } from "kysely";
import type { Pool, PoolConfig } from "pg";
import { SandboxError } from "../core/errors.ts";
import type { StoreDatabase } from "./database.ts";
import { withFaults } from "./faults.ts";
import type { Schema } from "./schema.ts";

const connections: PoolConfig = {
  max: 10,
  connectionTimeoutMillis: 5_000,
  lock_timeout: 5_000,
  statement_timeout: 60_000,
  idle_in_transaction_session_timeout: 60_000,
};

/** Connects to a PostgreSQL database by its URL. Throws `unavailable` when the package `pg` is not there. */
export async function openPostgresql(url: string): Promise<StoreDatabase> {
  const pool = new (await poolClass())({ ...connections, connectionString: url });
  // An idle connection that breaks is dropped by the pool; whoever asks next gets a new one, or the error.
  pool.on("error", () => undefined);
  const kysely = new Kysely<Schema>({ dialect: new PostgresDialect({ pool }) });
  return {
    kind: "postgresql",
    read: (work) => withFaults(() => work(kysely)),
    write: (work) => withFaults(() => kysely.transaction().execute(work)),
    exclusively: async (writing, name) => {
      await sql`select pg_advisory_xact_lock(hashtext(${`cofferdam ${name}`}))`.execute(writing);
    },
    // Its log and its vacuum are its keeper's.
    scrub: () => Promise.resolve(),
    backup: () =>
      Promise.reject(
        new SandboxError("unsupported", "the store does not copy a PostgreSQL database", {
          mend: "use pg_dump",
        }),
      ),
    [Symbol.asyncDispose]: () => kysely.destroy(),
  };
}

async function poolClass(): Promise<typeof Pool> {
  try {
    return (await import("pg")).default.Pool;
  } catch (cause) {
    if (!(cause instanceof Error && "code" in cause && cause.code === "ERR_MODULE_NOT_FOUND"))
      throw cause;
    throw new SandboxError("unavailable", "the package pg is not installed", {
      mend: "npm install pg",
      cause,
    });
  }
}
