import { sql } from "kysely";
import { expect, test } from "vitest";
import { initial } from "../../src/store/migrations/initial.ts";
import { migrate } from "../../src/store/migrate.ts";
import { migrations } from "../../src/store/migrations/migrations.ts";
import { openStore } from "../../src/store/open-store.ts";
import { refusalOf } from "../support/refusals.ts";
import { newSandbox, newTenant } from "./rows.ts";
import { type Subject, withStore } from "./subject.ts";

export function startCases(subject: Subject): void {
  test("what is written is there when the store is opened again", async () => {
    const place = await subject.newPlace();
    let tenantId = "";
    {
      await using store = await openStore(place);
      tenantId = (await newTenant(store)).id;
    }
    await using store = await openStore(place);
    expect(await store.tenants.get(tenantId)).toMatchObject({ id: tenantId });
    await store.check();
  });

  test("ten that open a new store at once all get it, migrated once", async () => {
    const place = await subject.newPlace();
    const stores = await Promise.all(Array.from({ length: 10 }, () => openStore(place)));
    for (const store of stores) await newTenant(store);
    expect(await stores[0]?.tenants.list()).toHaveLength(10);
    await Promise.all(stores.map((store) => store[Symbol.asyncDispose]()));
  });

  test("a store of a newer version is refused as unavailable, and says what mends it", async () => {
    const place = await subject.newPlace();
    await (await openStore(place))[Symbol.asyncDispose]();
    await subject.behindItsBack(place, [
      `insert into migrations (version, name, applied_at) values (${migrations.length + 1}, 'later', 'now')`,
    ]);
    const refusal = await refusalOf(openStore(place));
    expect(refusal).toMatchObject({
      code: "unavailable",
      mend: expect.stringContaining("version"),
    });
  });

  test("a migration that fails leaves nothing of itself", async () => {
    await withStore(subject, async (store) => {
      const { database } = store;
      const broken = {
        name: "broken",
        statements: () => ["create table half_made (a integer)", "create nonsense"],
      };
      await expect(migrate(database, [...migrations, broken])).rejects.toThrow("nonsense");
      const reading = database.read((queries) => sql`select * from half_made`.execute(queries));
      await expect(reading).rejects.toThrow("half_made");
      await migrate(database);
      await store.check();
    });
  });

  test("what a store of the first version holds is there after its migration", async () => {
    const place = await subject.newPlace();
    await subject.behindItsBack(place, [
      "create table migrations (version integer primary key, name text not null, applied_at text not null)",
      ...initial(subject.kind),
      "insert into migrations (version, name, applied_at) values (1, 'initial', 'then')",
      `insert into tenants (id, name, limits, created_at) values ('t1', 'one', '{}', 'then')`,
      `insert into sandboxes (id, tenant_id, driver, template, metadata, resources, cpus, memory_mib, state,
        started_at, end_at, idle_timeout_ms, on_timeout, pause_keeps, auto_resume, network)
        values ('i1', 't1', 'some', 'base', '{}', '{"cpus":1,"memoryMiB":64,"diskMiB":64,"pids":64,"openFiles":64}', 1, 64,
        'running', 'then', 'later', 0, 'kill', 'memory', 0, 'null')`,
    ]);
    await using store = await openStore(place);
    const record = { id: "i1", host: "", lifetimeMs: 300_000, lastUsedAt: null, kept: null };
    expect(await store.sandboxes.get("i1", "t1")).toMatchObject(record);
    expect((await store.sandboxes.list({ hosts: [""] })).records).toMatchObject([record]);
  });

  test("a writer that another one locks out is told unavailable, and works once the lock is gone", async () => {
    await withStore(subject, async (store, place) => {
      const tenant = await newTenant(store);
      const sandbox = newSandbox(tenant.id);
      {
        await using _ = await subject.lock(place);
        const refusal = await refusalOf(store.sandboxes.create(sandbox));
        expect(refusal).toMatchObject({
          code: "unavailable",
          message: expect.stringContaining("locked"),
          mend: expect.stringContaining("try again"),
        });
      }
      await store.sandboxes.create(sandbox);
    });
  });

  test("a store that is closed is unavailable", async () => {
    const store = await openStore(await subject.newPlace());
    await store[Symbol.asyncDispose]();
    expect((await refusalOf(store.tenants.list())).code).toBe("unavailable");
    expect((await refusalOf(newTenant(store))).code).toBe("unavailable");
  });

  test("a transaction that fails leaves nothing of itself", async () => {
    await withStore(subject, async ({ database, tenants }) => {
      const failing = database.write(async (writing) => {
        await writing
          .insertInto("tenants")
          .values({ id: "t1", name: "one", limits: "{}", created_at: "now" })
          .execute();
        throw new Error("on purpose");
      });
      await expect(failing).rejects.toThrow("on purpose");
      expect(await tenants.named("one")).toBeUndefined();
    });
  });
}
