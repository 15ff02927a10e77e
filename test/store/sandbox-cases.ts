import { expect, test } from "vitest";
import { SandboxError } from "../../src/core/errors.ts";
import { LimitReached } from "../../src/store/limit-reached.ts";
import { openStore } from "../../src/store/open-store.ts";
import type { SandboxMove } from "../../src/store/sandbox-record.ts";
import { refusalOf } from "../support/refusals.ts";
import { newSandbox, newTenant, someDigest, timeFromNow } from "./rows.ts";
import { type Subject, withStore } from "./subject.ts";

/** The life of a sandbox that is paused and resumed once. */
const life: readonly SandboxMove[] = [
  { from: "creating", to: "running", changes: { agentVersion: "1.2.3" } },
  { from: "running", to: "pausing", changes: { kept: "files" } },
  { from: ["pausing"], to: "paused" },
  { from: "paused", to: "resuming" },
  { from: "resuming", to: "running", changes: { endAt: "2031-01-01T00:00:00.000Z" } },
  { from: ["running", "pausing"], to: "ended", changes: { endReason: "killed" } },
];

export function sandboxCases(subject: Subject): void {
  test("a sandbox keeps every byte of what it was made with", async () => {
    await withStore(subject, async ({ sandboxes, ...store }) => {
      const { id: tenantId } = await newTenant(store);
      const made = newSandbox(tenantId, {
        metadata: { "a b": "ü=&%20", '"quoted"': "'; drop table sandboxes; --", "🙂": "" },
        resources: { cpus: 0.5, memoryMiB: 128, diskMiB: 1, pids: 2, openFiles: 3 },
        network: { allowOut: ["example.org"], rules: { nested: [null, 1.5, "x"] } },
        endAt: "2030-02-28T23:59:59.001Z",
        domain: "sandbox.example.org",
      });
      const { secrets, ...rest } = made;
      const record = await sandboxes.create(made);
      expect(record).toMatchObject({ ...rest, state: "creating", kept: null, lastUsedAt: null });
      expect(await sandboxes.get(made.id, tenantId)).toEqual(record);
      expect(await sandboxes.secrets(made.id)).toEqual(secrets);
      expect(JSON.stringify(record)).not.toContain("token-a");
      expect((await refusalOf(sandboxes.create(made))).code).toBe("already-exists");
    });
  });

  test("another tenant's sandbox is as absent as none", async () => {
    await withStore(subject, async ({ sandboxes, ...store }) => {
      const [one, two] = [await newTenant(store), await newTenant(store)];
      const { id } = await sandboxes.create(newSandbox(one.id));
      const theirs = await refusalOf(sandboxes.get(id, two.id));
      const none = await refusalOf(sandboxes.get("i0", two.id));
      expect(theirs.code).toBe("not-found");
      expect(theirs.message.replace(id, "i0")).toBe(none.message);
      expect((await sandboxes.list({ tenantId: two.id })).records).toEqual([]);
    });
  });

  test("a sandbox lives, is paused with what that keeps, resumed, and its secrets end with it", async () => {
    await withStore(subject, async ({ sandboxes, ...store }) => {
      const { id: tenantId } = await newTenant(store);
      const { id, startedAt } = await sandboxes.create(newSandbox(tenantId));
      const seen = [];
      for (const move of life) seen.push(await sandboxes.move(id, move));
      expect(seen.map(({ state }) => state)).toEqual(life.map(({ to }) => to));
      const kept = [null, "files", "files", "files", null, null];
      expect(seen.map((record) => record.kept)).toEqual(kept);
      expect(seen.at(-1)).toMatchObject({
        startedAt,
        endAt: "2031-01-01T00:00:00.000Z",
        agentVersion: "1.2.3",
        endReason: "killed",
        endedAt: expect.any(String),
      });
      expect((await refusalOf(sandboxes.secrets(id))).code).toBe("not-found");
      const left = await store.database.read((queries) =>
        queries.selectFrom("sandbox_secrets").selectAll().execute(),
      );
      expect(left).toEqual([]);
    });
  });

  test("of many that move a sandbox at once, through two servers, one wins and the others meet a conflict", async () => {
    await withStore(subject, async (store, place) => {
      await using other = await openStore(place);
      const { id: tenantId } = await newTenant(store);
      const { id } = await store.sandboxes.create(newSandbox(tenantId));
      await store.sandboxes.move(id, { from: "creating", to: "running" });
      const attempts = await Promise.allSettled(
        Array.from({ length: 20 }, (_, index) =>
          (index % 2 === 0 ? store : other).sandboxes.move(id, {
            from: "running",
            to: "pausing",
            changes: { kept: "memory" },
          }),
        ),
      );
      expect(attempts.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
      const lost = attempts.filter((attempt) => attempt.status === "rejected");
      expect(lost.map(({ reason }) => SandboxError.from(reason).code)).toEqual(
        Array.from({ length: 19 }, () => "conflict"),
      );
    });
  });

  test("moves that no sandbox makes, or that lack what they must bring, are refused", async () => {
    await withStore(subject, async ({ sandboxes, ...store }) => {
      const { id: tenantId } = await newTenant(store);
      const { id } = await sandboxes.create(newSandbox(tenantId));
      const wrong: readonly SandboxMove[] = [
        { from: "creating", to: "paused", changes: { kept: "memory" } },
        { from: "ended", to: "running" },
        { from: "creating", to: "ended" },
        { from: "running", to: "pausing" },
      ];
      for (const move of wrong)
        expect((await refusalOf(sandboxes.move(id, move))).code).toBe("invalid");
      const none = sandboxes.move("i0", { from: "creating", to: "running" });
      expect((await refusalOf(none)).code).toBe("not-found");
    });
  });

  test("no two creations take the last place, and a resumption needs one too", async () => {
    await withStore(subject, async (store, place) => {
      await using other = await openStore(place);
      const { id: tenantId } = await newTenant(store, { maxSandboxes: 5 });
      const attempts = await Promise.allSettled(
        Array.from({ length: 16 }, (_, index) =>
          (index % 2 === 0 ? store : other).sandboxes.create(newSandbox(tenantId)),
        ),
      );
      const made = attempts.filter((attempt) => attempt.status === "fulfilled");
      expect(made).toHaveLength(5);
      expect(await store.sandboxes.usage(tenantId)).toEqual({
        sandboxes: 5,
        cpus: 5,
        memoryMiB: 2560,
      });
      const id = made[0]?.value.id ?? "";
      for (const move of life.slice(0, 3)) await store.sandboxes.move(id, move);
      await store.sandboxes.create(newSandbox(tenantId));
      const refusal = await refusalOf(store.sandboxes.move(id, { from: "paused", to: "resuming" }));
      expect(refusal).toBeInstanceOf(LimitReached);
      expect(refusal).toMatchObject({ code: "exhausted", limit: "maxSandboxes" });
    });
  });

  test("memory that a pause keeps stays its tenant's, once, and what files keep does not", async () => {
    await withStore(subject, async ({ sandboxes, ...store }) => {
      const { id: tenantId } = await newTenant(store, { maxMemoryMiB: 1100 });
      const pausedWith = async (kept: "memory" | "files"): Promise<string> => {
        const { id } = await sandboxes.create(newSandbox(tenantId));
        await sandboxes.move(id, { from: "creating", to: "running" });
        await sandboxes.move(id, { from: "running", to: "pausing", changes: { kept } });
        await sandboxes.move(id, { from: "pausing", to: "paused" });
        return id;
      };
      await pausedWith("files");
      expect(await sandboxes.usage(tenantId)).toEqual({ sandboxes: 0, cpus: 0, memoryMiB: 0 });
      const [resumed] = [await pausedWith("memory"), await pausedWith("memory")];
      expect(await sandboxes.usage(tenantId)).toEqual({ sandboxes: 0, cpus: 0, memoryMiB: 1024 });
      const refusal = await refusalOf(sandboxes.create(newSandbox(tenantId)));
      expect(refusal).toMatchObject({ code: "exhausted", limit: "maxMemoryMiB" });
      await sandboxes.move(resumed, { from: "paused", to: "resuming" });
      expect(await sandboxes.usage(tenantId)).toEqual({ sandboxes: 1, cpus: 1, memoryMiB: 1024 });
    });
  });

  test("what is kept for a tenant has an end, paused sandboxes and snapshots alike", async () => {
    await withStore(subject, async ({ sandboxes, snapshots, ...store }) => {
      const { id: tenantId } = await newTenant(store, { maxSandboxes: 1, maxKept: 2 });
      const paused = await sandboxes.create(newSandbox(tenantId));
      for (const move of life.slice(0, 3)) await sandboxes.move(paused.id, move);
      const snapshot = {
        id: `s${paused.id}`,
        tenantId,
        sandboxId: paused.id,
        host: "here",
        driver: "some",
        template: "base",
        names: [],
        digest: someDigest,
        kept: "files",
        sizeBytes: 4096,
        resources: paused.resources,
        createdAt: timeFromNow(0),
      } as const;
      await snapshots.create(snapshot);
      const { id } = await sandboxes.create(newSandbox(tenantId));
      for (const move of life.slice(0, 3)) await sandboxes.move(id, move);
      for (const attempt of [
        sandboxes.create(newSandbox(tenantId)),
        snapshots.create({ ...snapshot, id: "s2" }),
      ])
        expect(await refusalOf(attempt)).toMatchObject({ code: "exhausted", limit: "maxKept" });
      await snapshots.remove(snapshot.id, tenantId);
      await sandboxes.create(newSandbox(tenantId));
    });
  });

  test("limits of cpus, memory and creations name themselves and say when to come again", async () => {
    await withStore(subject, async (store) => {
      for (const [limit, value] of [
        ["maxCpus", 1.5],
        ["maxMemoryMiB", 1000],
        ["createsPerMinute", 1],
        ["createsPerMinute", 0],
      ] as const) {
        const { id: tenantId } = await newTenant(store, { [limit]: value });
        if (value !== 0) await store.sandboxes.create(newSandbox(tenantId));
        const refusal = await refusalOf(store.sandboxes.create(newSandbox(tenantId)));
        expect(refusal).toMatchObject({ code: "exhausted", field: `limits.${limit}`, limit });
        expect(refusal).toMatchObject({ retryAfterMs: expect.any(Number) });
      }
    });
  });

  test("the end of a lifetime keeps its bytes unless it is to be later", async () => {
    await withStore(subject, async ({ sandboxes, ...store }) => {
      const { id: tenantId } = await newTenant(store);
      const { id, endAt } = await sandboxes.create(newSandbox(tenantId));
      const earlier = timeFromNow(1000);
      const kept = await sandboxes.setEndAt(id, earlier, { onlyLater: true });
      expect(kept.endAt).toBe(endAt);
      expect(kept.lifetimeMs).toBe(300_000);
      expect((await sandboxes.setEndAt(id, earlier)).endAt).toBe(earlier);
      const longer = await sandboxes.setEndAt(id, earlier, { lifetimeMs: 7000 });
      expect(longer).toMatchObject({ endAt: earlier, lifetimeMs: 7000 });
      expect((await sandboxes.get(id)).endAt).toBe(earlier);
      await sandboxes.move(id, { from: "creating", to: "ended", changes: { endReason: "killed" } });
      expect((await refusalOf(sandboxes.setEndAt(id, endAt))).code).toBe("not-found");
      expect((await refusalOf(sandboxes.setEndAt(id, "tomorrow"))).code).toBe("invalid");
    });
  });

  test("servers of several hosts see their own rows, and when their sandboxes were used", async () => {
    await withStore(subject, async ({ sandboxes, ...store }) => {
      const { id: tenantId } = await newTenant(store);
      const here = await sandboxes.create(newSandbox(tenantId));
      const there = await sandboxes.create(newSandbox(tenantId, { host: "there" }));
      const old = await sandboxes.create(newSandbox(tenantId, { host: "" }));
      const on = async (...hosts: string[]): Promise<readonly string[]> =>
        (await sandboxes.list({ tenantId, hosts })).records.map(({ id }) => id).toSorted();
      expect(await on("there")).toEqual([there.id]);
      expect(await on("here", "")).toEqual([here.id, old.id].toSorted());
      expect(await on()).toEqual([]);
      await sandboxes.setHost([old.id], "there");
      expect(await on("there")).toEqual([there.id, old.id].toSorted());
      const usedAt = timeFromNow(0);
      await sandboxes.setLastUsedAt([here.id, there.id], usedAt);
      expect((await sandboxes.get(here.id)).lastUsedAt).toBe(usedAt);
      expect((await sandboxes.get(old.id)).lastUsedAt).toBeNull();
    });
  });

  test("what a row must not hold is refused with its field", async () => {
    await withStore(subject, async ({ sandboxes, ...store }) => {
      const { id: tenantId } = await newTenant(store);
      for (const [field, sandbox] of [
        ["metadata.a", newSandbox(tenantId, { metadata: { a: "\0" } })],
        ["metadata.a", newSandbox(tenantId, { metadata: { a: "\uD800" } })],
        ["endAt", newSandbox(tenantId, { endAt: "2030-01-01T00:00:00Z" })],
        ["network", newSandbox(tenantId, { network: "x".repeat(70_000) })],
        ["id", newSandbox(tenantId, { id: "" })],
      ] as const)
        expect(await refusalOf(sandboxes.create(sandbox))).toMatchObject({
          code: "invalid",
          field,
        });
      const unknown = { ...newSandbox(tenantId), surprise: 1 };
      expect((await refusalOf(sandboxes.create(unknown))).code).toBe("invalid");
      expect((await refusalOf(sandboxes.create(newSandbox("t0")))).code).toBe("not-found");
    });
  });
}
