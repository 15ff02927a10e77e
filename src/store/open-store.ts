import { sql } from "kysely";
import { apiKeys } from "./api-keys.ts";
import type { StoreDatabase } from "./database.ts";
import { metrics } from "./metrics.ts";
import { migrate } from "./migrate.ts";
import { openPostgresql } from "./postgresql.ts";
import { sandboxes } from "./sandboxes.ts";
import { snapshots } from "./snapshots.ts";
import { openSqlite } from "./sqlite.ts";
import type { Store, StorePlace } from "./store.ts";
import { templates } from "./templates.ts";
import { tenants } from "./tenants.ts";
import { type StoreWatch, watched } from "./watched.ts";

/**
 * Opens the store, makes it when it is new, and brings it to this program's version. Any number of programs may.
 *
 * Throws `unavailable`, with what mends it: locked, unreachable, not allowed, damaged, or of a newer version.
 */
export async function openStore(place: StorePlace, watch?: StoreWatch): Promise<Store> {
  const opened = await ("url" in place ? openPostgresql(place.url) : openSqlite(place.directory));
  const database = watch === undefined ? opened : watched(opened, watch);
  try {
    await migrate(database);
  } catch (cause) {
    await database[Symbol.asyncDispose]();
    throw cause;
  }
  return storeOver(database);
}

function storeOver(database: StoreDatabase): Store {
  return {
    kind: database.kind,
    database,
    tenants: tenants(database),
    keys: apiKeys(database),
    sandboxes: sandboxes(database),
    snapshots: snapshots(database),
    templates: templates(database),
    metrics: metrics(database),
    check: () =>
      database.read(async (queries) => {
        await sql`select version from migrations limit 1`.execute(queries);
      }),
    scrub: () => database.scrub(),
    backup: (file) => database.backup(file),
    [Symbol.asyncDispose]: () => database[Symbol.asyncDispose](),
  };
}
