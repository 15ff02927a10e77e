import * as fc from "fast-check";
import { expect, test } from "vitest";
import { openAuditLog } from "../../src/audit/audit-log.ts";
import type { AuditRecord } from "../../src/audit/audit-record.ts";
import { openStore } from "../../src/store/open-store.ts";
import { refusalOf } from "../support/refusals.ts";
import { anyEntry, entry } from "./audit-entries.ts";
import { timeFromNow } from "./rows.ts";
import { type Subject, withStore } from "./subject.ts";

function results(records: readonly AuditRecord[]): readonly string[] {
  return records.map(({ result }) => result);
}

export function auditCases(subject: Subject): void {
  test("entries of any text are read back as they were written, in a chain that holds", async () => {
    await withStore(subject, async (store) => {
      const log = openAuditLog(store);
      await fc.assert(
        fc.asyncProperty(fc.array(anyEntry, { minLength: 1, maxLength: 8 }), async (entries) => {
          const written = await Promise.all(entries.map((each) => log.append(each)));
          const { records } = await log.query({ limit: entries.length });
          expect(records.toReversed()).toEqual(written);
          expect(await log.head()).toEqual({
            seq: written.at(-1)?.seq,
            hash: written.at(-1)?.hash,
          });
          expect(await log.verify()).toEqual({ ok: true, head: await log.head() });
        }),
        { numRuns: 25 },
      );
    });
  });

  test("writers in two servers at once leave no gap and one chain", async () => {
    await withStore(subject, async (store, place) => {
      await using other = await openStore(place);
      const [one, two] = [openAuditLog(store), openAuditLog(other)];
      const written = await Promise.all(
        Array.from({ length: 600 }, (_, index) =>
          (index % 2 === 0 ? one : two).append(entry({ result: String(index) })),
        ),
      );
      const numbers = written.map((record) => record.seq).toSorted((left, right) => left - right);
      expect(numbers).toEqual(Array.from({ length: 600 }, (_, index) => index + 1));
      expect(await one.verify()).toMatchObject({ ok: true, head: { seq: 600 } });
    });
  });

  test("a log is asked by tenant, sandbox, action, result and time, newest first and page by page", async () => {
    await withStore(subject, async (store) => {
      const log = openAuditLog(store);
      const since = timeFromNow(0);
      for (let index = 0; index < 12; index += 1)
        await log.append(
          entry({
            tenantId: `t${index % 2}`,
            sandboxId: `i${index % 3}`,
            action: index % 4 === 0 ? "key.create" : "sandbox.kill",
            result: String(index),
          }),
        );
      expect(results((await log.query({ tenantId: "t1", sandboxId: "i0" })).records)).toEqual([
        "9",
        "3",
      ]);
      expect(results((await log.query({ action: "key.create", since })).records)).toEqual([
        "8",
        "4",
        "0",
      ]);
      expect(results((await log.query({ result: "4" })).records)).toEqual(["4"]);
      expect((await log.query({ until: since })).records).toEqual([]);
      const first = await log.query({ limit: 5 });
      await log.append(entry({ result: "later" }));
      const second = await log.query({ limit: 5, token: first.nextToken ?? "" });
      expect(results([...first.records, ...second.records])).toEqual([
        "11",
        "10",
        "9",
        "8",
        "7",
        "6",
        "5",
        "4",
        "3",
        "2",
      ]);
      expect((await refusalOf(log.query({ token: "x" }))).code).toBe("invalid");
    });
  });

  test("what is too long is cut, and an entry with unknown fields is refused", async () => {
    await withStore(subject, async (store) => {
      const log = openAuditLog(store);
      const { from, details } = await log.append(
        entry({ from: "x".repeat(10_000), details: { agent: "y".repeat(100_000) } }),
      );
      expect([from?.length, details["agent"]?.length]).toEqual([256, 4096]);
      const unknown = { ...entry(), secret: "x" };
      expect((await refusalOf(log.append(unknown))).code).toBe("invalid");
    });
  });

  test("verification tells how far it is, in batches, and can be stopped", async () => {
    await withStore(subject, async (store) => {
      const log = openAuditLog(store);
      await Promise.all(Array.from({ length: 1200 }, () => log.append(entry())));
      const steps: (readonly [number, number])[] = [];
      await log.verify({ onProgress: (verified, total) => steps.push([verified, total]) });
      expect(steps).toEqual([
        [500, 1200],
        [1000, 1200],
        [1200, 1200],
      ]);
      const stop = new AbortController();
      const stopped = log.verify({ signal: stop.signal, onProgress: () => stop.abort() });
      expect((await refusalOf(stopped)).code).toBe("cancelled");
    });
  });

  test("the database itself refuses to change, remove or skip a record, or to move the head back", async () => {
    await withStore(subject, async (store, place) => {
      const log = openAuditLog(store);
      for (const result of ["one", "two"]) await log.append(entry({ result }));
      for (const statement of [
        "update audit set body = 'x' where seq = 1",
        "delete from audit where seq = 2",
        "insert into audit (seq, at, action, body, previous, hash) values (4, '', '', '', '', '')",
        "update audit_head set seq = 1",
        "delete from audit_head",
      ])
        await expect(subject.behindItsBack(place, [statement])).rejects.toThrow("audit log");
      expect(await log.verify()).toMatchObject({ ok: true, head: { seq: 2 } });
    });
  });
}
