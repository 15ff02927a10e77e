import type { Queries, StoreKind, Writing } from "./schema.ts";

export interface WriteOptions {
  /** Flushed to the disk before it resolves. Without, a power cut may lose it; the death of the process never does. */
  readonly survivesPowerLoss?: boolean;
}

/** A database that holds the schema: what differs between the two kinds, and nothing else. Errors are SandboxErrors. */
export interface StoreDatabase extends AsyncDisposable {
  readonly kind: StoreKind;
  read<T>(work: (queries: Queries) => Promise<T>): Promise<T>;
  /** Runs `work` in one transaction, which is undone when it throws. */
  write<T>(work: (writing: Writing) => Promise<T>, options?: WriteOptions): Promise<T>;
  /** Waits until no other transaction holds the name, and holds it until this one ends. */
  exclusively(writing: Writing, name: string): Promise<void>;
  /** Has what was removed gone from the disk, too. */
  scrub(): Promise<void>;
  backup(file: string): Promise<void>;
}
