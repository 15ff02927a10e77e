import type { Kept } from "../core/kept.ts";
import type { Resources } from "../core/spec.ts";
import type { Page } from "./paging.ts";

export interface SnapshotRecord {
  readonly id: string;
  readonly tenantId: string;
  /** The sandbox it was taken of. */
  readonly sandboxId: string;
  /** The host that keeps it. */
  readonly host: string;
  readonly driver: string;
  /** The template that the sandbox was made from. */
  readonly template: string;
  /** Names by which its tenant may ask for it, sorted; a later snapshot takes a name over. */
  readonly names: readonly string[];
  /** `sha256:` and 64 hexadecimal digits. */
  readonly digest: string;
  readonly kept: Kept;
  readonly sizeBytes: number;
  /** Of the sandbox it was taken of. */
  readonly resources: Resources;
  readonly createdAt: string;
}

export interface SnapshotListOptions {
  readonly tenantId?: string;
  /** Absent: on every host. */
  readonly host?: string;
  readonly sandboxId?: string;
  readonly name?: string;
  /** 1 to 1,000; default 100. */
  readonly limit?: number;
  readonly token?: string;
}

export interface Snapshots {
  /**
   * Throws `already-exists` for an id that is taken, and, where it `mayTakeOver` none, for a name; `LimitReached`
   * (`exhausted`). Default: it takes names over.
   */
  create(
    snapshot: SnapshotRecord,
    options?: { readonly mayTakeOver: boolean },
  ): Promise<SnapshotRecord>;
  /** By id or by a name of the tenant's. Throws `not-found`. */
  find(idOrName: string, tenantId: string): Promise<SnapshotRecord>;
  /** The first name of each of the ids that has one. */
  firstNames(ids: readonly string[]): Promise<ReadonlyMap<string, string>>;
  /** Those of the ids that there are, whoever owns them. */
  existing(ids: readonly string[]): Promise<ReadonlySet<string>>;
  /** Newest first. */
  list(options?: SnapshotListOptions): Promise<Page<SnapshotRecord>>;
  /** `false`: the tenant has none of that id. */
  remove(id: string, tenantId: string): Promise<boolean>;
}
