import type { StoreDatabase } from "./database.ts";

/** Stands around each piece of work, and returns what it gives. */
export type StoreWatch = <T>(operation: "read" | "write", work: () => Promise<T>) => Promise<T>;

/** The database, with somebody who looks on. */
export function watched(database: StoreDatabase, watch: StoreWatch): StoreDatabase {
  return {
    kind: database.kind,
    read: (work) => watch("read", () => database.read(work)),
    write: (work, options) => watch("write", () => database.write(work, options)),
    exclusively: (writing, name) => database.exclusively(writing, name),
    scrub: () => watch("write", () => database.scrub()),
    backup: (file) => database.backup(file),
    [Symbol.asyncDispose]: () => database[Symbol.asyncDispose](),
  };
}
