import { open } from "node:fs/promises";
import { chmodSync, closeSync, mkdirSync, openSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import {
  type DatabaseConnection,
  Kysely,
  SqliteAdapter,
  type SqliteDatabase,
  SqliteDriver,
  SqliteIntrospector,
  SqliteQueryCompiler,
  sql,
} from "kysely";
import Libsql from "libsql";
import { SandboxError } from "../core/errors.ts";
import type { StoreDatabase, WriteOptions } from "./database.ts";
import { faultOf, withFaults } from "./faults.ts";
import { rememberingStatements } from "./prepared.ts";
import type { Queries, Schema, Writing } from "./schema.ts";

type Database = SqliteDatabase & { exec(statements: string): unknown };

/** How long a writer waits for another program's transaction. Milliseconds. */
const longestWaitMs = 5_000;
/** The part of that which SQLite waits by itself, holding up the event loop. Milliseconds. */
const blockingWaitMs = 20;

/** Opens, or makes, `<directory>/store.sqlite`. */
export async function openSqlite(directory: string): Promise<StoreDatabase> {
  const file = join(directory, "store.sqlite");
  const database = openFile(directory, file);
  const kysely = new Kysely<Schema>({ dialect: dialect(database) });
  try {
    await retrying(() => database.exec("pragma journal_mode = wal"));
  } catch (cause) {
    await kysely.destroy();
    throw faultOf(cause);
  }
  return {
    kind: "sqlite",
    read: (work) => withFaults(() => work(kysely)),
    write: (work, options) => withFaults(() => write(kysely, work, options)),
    // The write lock, which every transaction holds from its beginning, covers every name.
    exclusively: () => Promise.resolve(),
    scrub: () => withFaults(() => emptyLog(kysely)),
    backup: (target) => withFaults(() => backup(kysely, target)),
    [Symbol.asyncDispose]: () => close(kysely),
  };
}

/** Empties the log of changes into the file first. */
async function close(kysely: Queries): Promise<void> {
  try {
    await emptyLog(kysely);
  } catch (cause) {
    throw faultOf(cause);
  } finally {
    await kysely.destroy();
  }
}

/** Empties the log of changes into the file, unless others use it: removed secrets stand in it until then. */
async function emptyLog(kysely: Queries): Promise<void> {
  try {
    await sql`pragma wal_checkpoint(truncate)`.execute(kysely);
  } catch (cause) {
    if (!isBusy(cause)) throw cause;
  }
}

function openFile(directory: string, file: string): Database {
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    closeSync(openSync(file, "a", 0o600));
    chmodSync(file, 0o600);
    const database = new Libsql(file);
    database.exec(`pragma busy_timeout = ${blockingWaitMs};
      pragma synchronous = normal;
      pragma foreign_keys = on;
      pragma recursive_triggers = on;
      pragma secure_delete = on;`);
    return database;
  } catch (cause) {
    throw faultOf(cause);
  }
}

function dialect(database: Database): ConstructorParameters<typeof Kysely>[0]["dialect"] {
  return {
    createDriver: () => new PatientDriver(database, rememberingStatements(database)),
    createAdapter: () => new SqliteAdapter(),
    createQueryCompiler: () => new SqliteQueryCompiler(),
    createIntrospector: (kysely) => new SqliteIntrospector(kysely),
  };
}

/** Takes the write lock when a transaction begins, and waits for it without holding up the event loop. */
class PatientDriver extends SqliteDriver {
  readonly #database: Database;

  constructor(database: Database, prepared: SqliteDatabase) {
    super({ database: prepared });
    this.#database = database;
  }

  /** Not as a prepared statement: one that met a lock stays open, and no transaction can be committed beside it. */
  override async beginTransaction(): Promise<void> {
    await retrying(() => this.#database.exec("begin immediate"));
  }

  /** SQLite has undone the transaction itself after some errors, a full disk among them. */
  override async rollbackTransaction(connection: DatabaseConnection): Promise<void> {
    try {
      await super.rollbackTransaction(connection);
    } catch (cause) {
      if (!(cause instanceof Error && cause.message.includes("no transaction is active")))
        throw cause;
    }
  }
}

async function retrying(attempt: () => unknown): Promise<void> {
  const deadline = performance.now() + longestWaitMs;
  for (let pauseMs = 2; ; pauseMs = Math.min(pauseMs * 2, 100)) {
    try {
      attempt();
      return;
    } catch (cause) {
      if (!isBusy(cause) || performance.now() > deadline) throw cause;
    }
    await sleep(pauseMs);
  }
}

function isBusy(cause: unknown): boolean {
  return (
    cause instanceof Error &&
    "code" in cause &&
    typeof cause.code === "string" &&
    cause.code.startsWith("SQLITE_BUSY")
  );
}

async function write<T>(
  kysely: Queries,
  work: (writing: Writing) => Promise<T>,
  { survivesPowerLoss = false }: WriteOptions = {},
): Promise<T> {
  if (!survivesPowerLoss) return kysely.transaction().execute(work);
  return kysely.connection().execute(async (connection) => {
    await sql`pragma synchronous = full`.execute(connection);
    try {
      return await connection.transaction().execute(work);
    } finally {
      await sql`pragma synchronous = normal`.execute(connection);
    }
  });
}

async function backup(kysely: Queries, target: string): Promise<void> {
  closeSync(newFile(target));
  try {
    await sql`vacuum into ${target}`.execute(kysely);
    await using written = await open(target);
    await written.sync();
  } catch (cause) {
    rmSync(target, { force: true });
    throw cause;
  }
}

function newFile(target: string): number {
  try {
    return openSync(target, "wx", 0o600);
  } catch (cause) {
    if (cause instanceof Error && "code" in cause && cause.code === "EEXIST")
      throw new SandboxError("already-exists", `${target} is there already`, {
        mend: "name a file that does not exist",
        cause,
      });
    throw cause;
  }
}
