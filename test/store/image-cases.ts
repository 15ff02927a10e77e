import { expect, test } from "vitest";
import { refusalOf } from "../support/refusals.ts";
import { newTenant, someDigest, timeFromNow } from "./rows.ts";
import { type Subject, withStore } from "./subject.ts";

const someSnapshot = {
  host: "here",
  driver: "some",
  template: "base",
  digest: someDigest,
  kept: "memory",
  sizeBytes: 4096,
  resources: { cpus: 1, memoryMiB: 512, diskMiB: 1024, pids: 128, openFiles: 1024 },
} as const;

export function imageCases(subject: Subject): void {
  test("a snapshot is found by id and name, by its own tenant alone, and a later one takes a name over", async () => {
    await withStore(subject, async ({ snapshots, ...store }) => {
      const [one, two] = [await newTenant(store), await newTenant(store)];
      const common = { ...someSnapshot, sandboxId: "i1" };
      const older = {
        ...common,
        id: "s1",
        tenantId: one.id,
        names: ["b", "a"],
        createdAt: timeFromNow(-2),
      };
      const newer = {
        ...common,
        id: "s2",
        tenantId: one.id,
        names: ["a"],
        createdAt: timeFromNow(-1),
      };
      await snapshots.create(older);
      expect(await snapshots.find("a", one.id)).toEqual({ ...older, names: ["a", "b"] });
      await snapshots.create(newer);
      expect(await snapshots.find("a", one.id)).toEqual(newer);
      expect(await snapshots.find("s1", one.id)).toEqual({ ...older, names: ["b"] });
      const named = await snapshots.firstNames(["s0", "s1", "s2"]);
      expect(Object.fromEntries(named)).toEqual({ s1: "b", s2: "a" });
      const third = { ...newer, id: "s3" };
      const refused = await refusalOf(snapshots.create(third, { mayTakeOver: false }));
      expect(refused).toMatchObject({ code: "already-exists", field: "name" });
      expect((await snapshots.existing(["s3"])).size).toBe(0);
      expect((await refusalOf(snapshots.find("a", two.id))).code).toBe("not-found");
      expect((await refusalOf(snapshots.create(older))).code).toBe("already-exists");
      expect([...(await snapshots.existing(["s1", "s0", "s2"]))].toSorted()).toEqual(["s1", "s2"]);
      expect(await snapshots.remove("s2", two.id)).toBe(false);
      expect(await snapshots.remove("s2", one.id)).toBe(true);
      expect((await snapshots.list({ tenantId: one.id })).records.map(({ id }) => id)).toEqual([
        "s1",
      ]);
    });
  });

  test("snapshots come in pages, newest first, and by sandbox and name", async () => {
    await withStore(subject, async ({ snapshots, ...store }) => {
      const { id: tenantId } = await newTenant(store);
      for (let index = 0; index < 5; index += 1)
        await snapshots.create({
          id: `s${index}`,
          tenantId,
          sandboxId: index === 3 ? "i3" : "i1",
          ...someSnapshot,
          host: index === 4 ? "there" : "here",
          names: [`name${index}`],
          createdAt: timeFromNow(index),
        });
      const seen: string[] = [];
      for (let token: string | undefined = ""; token !== undefined;) {
        const page = await snapshots.list({ limit: 2, ...(token === "" ? {} : { token }) });
        seen.push(...page.records.map(({ id }) => id));
        token = page.nextToken;
      }
      expect(seen).toEqual(["s4", "s3", "s2", "s1", "s0"]);
      expect((await snapshots.list({ host: "there" })).records).toMatchObject([{ id: "s4" }]);
      expect((await snapshots.list({ sandboxId: "i3" })).records).toMatchObject([{ id: "s3" }]);
      expect((await snapshots.list({ name: "name2" })).records).toMatchObject([{ id: "s2" }]);
    });
  });

  test("a template's name has one owner, and others see it when it is public or the host's", async () => {
    await withStore(subject, async ({ templates, ...store }) => {
      const [one, two] = [await newTenant(store), await newTenant(store)];
      const mine = {
        id: "p1",
        name: "mine",
        tenantId: one.id,
        isPublic: false,
        defaultDriver: "some",
        createdAt: timeFromNow(0),
      };
      await templates.put(mine);
      await templates.put({ ...mine, id: "p0", name: "base", tenantId: null });
      expect((await templates.list(two.id)).map(({ name }) => name)).toEqual(["base"]);
      await templates.put({ ...mine, isPublic: true });
      expect((await templates.list(two.id)).map(({ name }) => name)).toEqual(["base", "mine"]);
      expect(await templates.find("mine")).toEqual({ ...mine, isPublic: true });
      for (const taken of [
        { ...mine, tenantId: two.id },
        { ...mine, id: "p2", tenantId: two.id },
        { ...mine, id: "p2" },
        { ...mine, id: "base", name: "other" },
      ])
        expect((await refusalOf(templates.put(taken))).code).toBe("already-exists");
      expect(await templates.remove("p1", two.id)).toBe(false);
      expect(await templates.remove("p1", one.id)).toBe(true);
      expect(await templates.find("p1")).toBeUndefined();
    });
  });
}
