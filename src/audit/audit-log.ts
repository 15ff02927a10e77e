import type { Page } from "../store/paging.ts";
import type { Store } from "../store/store.ts";
import { appender } from "./append.ts";
import type {
  AuditEntry,
  AuditHead,
  AuditQuery,
  AuditRecord,
  AuditVerdict,
  VerifyOptions,
} from "./audit-record.ts";
import { headOf } from "./head.ts";
import { queryAudit } from "./query.ts";
import { verifyAudit } from "./verify.ts";

/** The append-only record of a store, each entry chained to the one before. */
export interface AuditLog {
  /** Resolves once the entry is written. Entries that wait together are written in one step, in the order of the calls. */
  append(entry: AuditEntry): Promise<AuditRecord>;
  /** Newest first. */
  query(query?: AuditQuery): Promise<Page<AuditRecord>>;
  /** `{ seq: 0, hash: 64 zeros }` while nothing is written. */
  head(): Promise<AuditHead>;
  /** Reads the whole chain, in bounded memory; what is appended meanwhile is not part of it. */
  verify(options?: VerifyOptions): Promise<AuditVerdict>;
}

/** The audit log of a store; its life is the store's. */
export function openAuditLog({ database }: Pick<Store, "database">): AuditLog {
  return {
    append: appender(database),
    query: (query) =>
      database.read((queries) => queryAudit({ queries, kind: database.kind }, query)),
    head: () => database.read(headOf),
    verify: (options) => verifyAudit(database, options),
  };
}
