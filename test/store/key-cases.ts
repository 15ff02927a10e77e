import { expect, test } from "vitest";
import { refusalOf } from "../support/refusals.ts";
import { newTenant } from "./rows.ts";
import { type Subject, withStore } from "./subject.ts";

export function keyCases(subject: Subject): void {
  test("a key opens its tenant's door, and is stored as a hash alone", async () => {
    await withStore(subject, async (store) => {
      const tenant = await newTenant(store);
      const { key, secret } = await store.keys.create({ tenantId: tenant.id, name: "mine" });
      expect(secret).toMatch(/^e2b_[0-9a-f]{40}$/);
      expect(secret.startsWith(key.prefix)).toBe(true);
      expect(await store.keys.authenticate(secret)).toMatchObject({ key: { id: key.id }, tenant });
      const rows = await store.database.read((queries) =>
        queries.selectFrom("api_keys").selectAll().execute(),
      );
      expect(JSON.stringify(rows)).not.toContain(secret.slice(key.prefix.length));
      const [listed] = await store.keys.list(tenant.id);
      expect(listed?.lastUsedAt).not.toBeNull();
    });
  });

  test("keys that are wrong, malformed or revoked are refused in the same words", async () => {
    await withStore(subject, async (store) => {
      const tenant = await newTenant(store);
      const { key, secret } = await store.keys.create({ tenantId: tenant.id, name: "mine" });
      await store.keys.revoke(key.id);
      expect(await store.keys.revoke(key.id)).toMatchObject({ revokedAt: expect.any(String) });
      const wrong = [secret, `e2b_${"0".repeat(40)}`, "", "e2b_", "\0", secret.toUpperCase()];
      const refusals = await Promise.all(
        wrong.map((each) => refusalOf(store.keys.authenticate(each))),
      );
      expect(new Set(refusals.map(({ code, message }) => `${code}: ${message}`)).size).toBe(1);
      expect(refusals[0]?.code).toBe("unauthenticated");
    });
  });

  test("a tenant sees its own keys alone, newest first", async () => {
    await withStore(subject, async (store) => {
      const [one, two] = [await newTenant(store), await newTenant(store)];
      await store.keys.create({ tenantId: one.id, name: "of one" });
      await store.keys.create({ tenantId: two.id, name: "of two" });
      expect((await store.keys.list(one.id)).map(({ name }) => name)).toEqual(["of one"]);
      expect(await store.keys.list()).toHaveLength(2);
    });
  });

  test("a key for a tenant that is not there is refused", async () => {
    await withStore(subject, async (store) => {
      const refusal = await refusalOf(store.keys.create({ tenantId: "t0", name: "mine" }));
      expect(refusal.code).toBe("not-found");
    });
  });

  test("a tenant's name is its own, and its limits change one by one", async () => {
    await withStore(subject, async (store) => {
      const tenant = await newTenant(store, { maxSandboxes: 3 });
      const refusal = await refusalOf(store.tenants.create({ name: tenant.name }));
      expect(refusal.code).toBe("already-exists");
      const changed = await store.tenants.setLimits(tenant.id, { maxCpus: 2.5 });
      expect(changed.limits).toEqual({ ...tenant.limits, maxCpus: 2.5 });
      expect(await store.tenants.get(tenant.id)).toEqual(changed);
      expect((await refusalOf(store.tenants.setLimits(tenant.id, { maxCpus: -1 }))).field).toBe(
        "maxCpus",
      );
    });
  });
}
