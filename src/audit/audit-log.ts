import type { Page } from "../store/paging.ts";
import type {
  AuditEntry,
  AuditHead,
  AuditQuery,
  AuditRecord,
  AuditVerdict,
  VerifyOptions,
} from "./audit-record.ts";

/** The append-only record of a store, each entry chained to the one before. Opened by `openAuditLog(store)`. */
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
