import type { StoreDatabase } from "../store/database.ts";
import type { Writing } from "../store/schema.ts";
import { timeNow } from "../store/times.ts";
import type { AuditEntry, AuditHead, AuditRecord } from "./audit-record.ts";
import { type AuditRow, chained, recordOf } from "./chain.ts";
import { entryOf } from "./entry.ts";
import { headOf } from "./head.ts";

const mostAtOnce = 200;

interface Waiting {
  readonly entry: AuditEntry;
  readonly resolve: (record: AuditRecord) => void;
  readonly reject: (cause: unknown) => void;
}

/** Appends entries; those that come while others are being written share the next transaction. */
export function appender(database: StoreDatabase): (entry: AuditEntry) => Promise<AuditRecord> {
  const waiting: Waiting[] = [];
  let isWriting = false;
  const writeAll = async (): Promise<void> => {
    isWriting = true;
    for (let batch = waiting.splice(0, mostAtOnce); batch.length > 0;) {
      await settle(database, batch);
      batch = waiting.splice(0, mostAtOnce);
    }
    isWriting = false;
  };
  return async (entry) => {
    const checked = entryOf(entry);
    const written = new Promise<AuditRecord>((resolve, reject) => {
      waiting.push({ entry: checked, resolve, reject });
    });
    if (!isWriting) void writeAll();
    return written;
  };
}

/** Never rejects: each of the batch is told how it went. */
async function settle(database: StoreDatabase, batch: readonly Waiting[]): Promise<void> {
  try {
    const rows = await database.write((writing) => write(database, writing, batch));
    for (const [index, row] of rows.entries()) batch[index]?.resolve(recordOf(row));
  } catch (cause) {
    for (const { reject } of batch) reject(cause);
  }
}

async function write(
  database: StoreDatabase,
  writing: Writing,
  batch: readonly Waiting[],
): Promise<readonly AuditRow[]> {
  await database.exclusively(writing, "audit");
  let head: AuditHead = await headOf(writing);
  const rows: AuditRow[] = [];
  for (const { entry } of batch) {
    const row = chained(entry, { ...head, at: timeNow() });
    rows.push(row);
    head = { seq: row.seq, hash: row.hash };
  }
  await writing.insertInto("audit").values(rows).execute();
  await writing.updateTable("audit_head").set(head).where("id", "=", 1).execute();
  return rows;
}
