import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Database from "libsql";
import { afterAll, describe } from "vitest";
import type { StorePlace } from "../../src/store/store.ts";
import { sqliteCases } from "./sqlite-cases.ts";
import { storeSuite } from "./suite.ts";

const directory = mkdtempSync(join(tmpdir(), "cofferdam-store-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const triggers = [
  "audit_is_not_changed",
  "audit_is_not_removed",
  "audit_grows_by_one",
  "audit_head_stays",
  "audit_head_grows",
];

function open(place: StorePlace): InstanceType<typeof Database> {
  if (!("directory" in place)) throw new Error("not a place of SQLite's");
  return new Database(join(place.directory, "store.sqlite"));
}

describe("a store in SQLite", () => {
  storeSuite({
    kind: "sqlite",
    newPlace: () => Promise.resolve({ directory: mkdtempSync(join(directory, "place-")) }),
    behindItsBack: async (place, statements, options) => {
      const database = open(place);
      try {
        if (options !== undefined)
          for (const trigger of triggers) database.exec(`drop trigger if exists ${trigger}`);
        for (const statement of statements) database.exec(statement);
      } finally {
        database.close();
      }
      await Promise.resolve();
    },
    lock: (place) => {
      const database = open(place);
      database.exec("begin immediate");
      return Promise.resolve({
        [Symbol.asyncDispose]: () => {
          database.exec("rollback");
          database.close();
          return Promise.resolve();
        },
      });
    },
  });
  sqliteCases(directory);
});
