import type { ApiKeys } from "./api-key.ts";
import type { StoreDatabase } from "./database.ts";
import type { MetricsSamples } from "./metrics-samples.ts";
import type { Sandboxes } from "./sandbox-record.ts";
import type { StoreKind } from "./schema.ts";
import type { Snapshots } from "./snapshot-record.ts";
import type { Templates } from "./template-record.ts";
import type { Tenants } from "./tenant.ts";

/** Where the store lies. */
export type StorePlace =
  /** `<directory>/store.sqlite`; the directory and the file are made when missing, 0700 and 0600. */
  | { readonly directory: string }
  /** `postgresql://…` */
  | { readonly url: string };

/**
 * The server's durable memory: SQLite in a directory, or PostgreSQL.
 *
 * Every operation may throw `unavailable` (locked, unreachable, or of a newer version; `mend` says what helps) and
 * `disk-full`. `src/audit/audit-log.ts` opens the audit log over it.
 */
export interface Store extends AsyncDisposable {
  readonly kind: StoreKind;
  /** The tables themselves, for the audit log. */
  readonly database: StoreDatabase;
  readonly tenants: Tenants;
  readonly keys: ApiKeys;
  readonly sandboxes: Sandboxes;
  readonly snapshots: Snapshots;
  readonly templates: Templates;
  readonly metrics: MetricsSamples;
  /** Reads one row. Throws `unavailable`. */
  check(): Promise<void>;
  /** Has what was removed gone from the disk as well, where the database keeps it for a while; best while nobody writes. */
  scrub(): Promise<void>;
  /**
   * Writes a complete copy into a new file, 0600, while others read and write. Throws `already-exists` for a file that
   * is there, and `unsupported` over PostgreSQL, which has tools of its own.
   */
  backup(file: string): Promise<void>;
}
