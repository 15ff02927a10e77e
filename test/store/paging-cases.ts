import * as fc from "fast-check";
import { expect, test } from "vitest";
import type { SandboxListOptions } from "../../src/store/sandbox-record.ts";
import type { Sandboxes } from "../../src/store/sandbox-record.ts";
import { refusalOf } from "../support/refusals.ts";
import { newSandbox, newTenant, timeFromNow } from "./rows.ts";
import { type Subject, withStore } from "./subject.ts";

/** Few different times, so that many are equal. */
const secondsAgo = fc.integer({ min: 0, max: 4 });

async function allPages(
  sandboxes: Sandboxes,
  options: SandboxListOptions,
  between: () => Promise<void> = () => Promise.resolve(),
): Promise<readonly string[]> {
  const seen: string[] = [];
  for (let token: string | undefined; ;) {
    const page = await sandboxes.list({ ...options, ...(token === undefined ? {} : { token }) });
    seen.push(...page.records.map(({ id }) => id));
    token = page.nextToken;
    if (token === undefined) return seen;
    await between();
  }
}

export function pagingCases(subject: Subject): void {
  test("whatever is inserted between pages, no row comes twice and none that was there is missed", async () => {
    await withStore(subject, async ({ sandboxes, ...store }) => {
      const scenario = fc.record({
        before: fc.array(secondsAgo, { maxLength: 12 }),
        meanwhile: fc.array(secondsAgo, { maxLength: 12 }),
        limit: fc.integer({ min: 1, max: 5 }),
        order: fc.constantFrom("newest-first", "oldest-first"),
      });
      await fc.assert(
        fc.asyncProperty(scenario, async ({ before, meanwhile, limit, order }) => {
          const { id: tenantId } = await newTenant(store);
          const now = Date.now();
          const insert = async (seconds: number): Promise<string> => {
            const startedAt = new Date(now - seconds * 1000).toISOString();
            return (await sandboxes.create(newSandbox(tenantId, { startedAt }))).id;
          };
          const there = await Promise.all(before.map(insert));
          const seen = await allPages(sandboxes, { tenantId, limit, order }, async () => {
            const seconds = meanwhile.pop();
            if (seconds !== undefined) await insert(seconds);
          });
          expect(new Set(seen).size).toBe(seen.length);
          expect(there.filter((id) => !seen.includes(id))).toEqual([]);
          const whole = await allPages(sandboxes, { tenantId, limit: 1000, order });
          expect(whole.filter((id) => seen.includes(id))).toEqual(seen);
        }),
        { numRuns: 25 },
      );
    });
  });

  test("a list is narrowed by state, metadata, template and start, all at once", async () => {
    await withStore(subject, async ({ sandboxes, ...store }) => {
      const { id: tenantId } = await newTenant(store);
      const tagged = newSandbox(tenantId, {
        metadata: { app: "x", user: "1" },
        template: "python",
      });
      const others = [
        newSandbox(tenantId, { metadata: { app: "x" }, template: "python" }),
        newSandbox(tenantId, { metadata: { app: "1", user: "x" }, template: "python" }),
        newSandbox(tenantId, { metadata: tagged.metadata }),
        newSandbox(tenantId, { ...tagged, id: "iold", startedAt: timeFromNow(-60_000) }),
        newSandbox(tenantId, { ...tagged, id: "irunning" }),
      ];
      for (const each of [tagged, ...others]) await sandboxes.create(each);
      await sandboxes.move("irunning", { from: "creating", to: "running" });
      const filter = {
        tenantId,
        states: ["creating", "paused"] as const,
        metadata: { app: "x", user: "1" },
        template: "python",
        startedAfter: timeFromNow(-30_000),
      };
      expect((await sandboxes.list(filter)).records).toMatchObject([{ id: tagged.id }]);
      expect(await sandboxes.count(filter)).toBe(1);
      expect(await sandboxes.count({ tenantId })).toBe(6);
      expect(await sandboxes.count({ states: [] })).toBe(0);
    });
  });

  test("tokens and limits that no page gave are refused", async () => {
    await withStore(subject, async ({ sandboxes }) => {
      const made = Buffer.from('["x"]').toString("base64url");
      for (const token of ["", "x", made, "A".repeat(5000)])
        expect((await refusalOf(sandboxes.list({ token }))).field).toBe("token");
      for (const limit of [0, -1, 1.5, 1001, Number.NaN])
        expect((await refusalOf(sandboxes.list({ limit }))).field).toBe("limit");
    });
  });
}
