import { expect, test } from "vitest";
import { openStore } from "../../src/store/open-store.ts";
import { refusalOf } from "../support/refusals.ts";
import { newTenant } from "./rows.ts";
import { type Subject, withStore } from "./subject.ts";

/** What a store in PostgreSQL promises besides. */
export function postgresqlCases(subject: Subject): void {
  test("connections that the server ends are replaced", async () => {
    await withStore(subject, async (store, place) => {
      const tenant = await newTenant(store);
      await subject.behindItsBack(place, [
        "select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid() and datname = current_database()",
      ]);
      await expect.poll(() => store.tenants.get(tenant.id), { timeout: 20_000 }).toEqual(tenant);
    });
  });

  test("a server that is not there, or lets nobody in, is unavailable with what mends it", async () => {
    const place = await subject.newPlace();
    const url = "url" in place ? place.url : "";
    for (const wrong of [
      "postgresql://cofferdam@127.0.0.1:1/postgres",
      "postgresql://cofferdam@localhost/postgres?host=/nonexistent",
      url.replace("/postgres?", "/no_such_database?"),
      url.replace("cofferdam@", "nobody@"),
    ])
      expect(await refusalOf(openStore({ url: wrong }))).toMatchObject({
        code: "unavailable",
        mend: expect.stringContaining("URL"),
      });
  });

  test("a copy is left to the database's own tools", async () => {
    await withStore(subject, async (store) => {
      expect(await refusalOf(store.backup("/tmp/none"))).toMatchObject({
        code: "unsupported",
        mend: expect.stringContaining("pg_dump"),
      });
    });
  });
}
