import * as fc from "fast-check";
import { expect, test } from "vitest";
import { openAuditLog } from "../../src/audit/audit-log.ts";
import type { AuditFault, AuditHead } from "../../src/audit/audit-record.ts";
import { chained } from "../../src/audit/chain.ts";
import { entry } from "./audit-entries.ts";
import { type Subject, withStore } from "./subject.ts";

const length = 8;

interface Known {
  readonly heads: readonly AuditHead[];
}

/** What somebody with the database in hand does to record `seq` (2 to 7 of 8), and what must be found. */
interface Tampering {
  readonly does: string;
  readonly finds: AuditFault;
  readonly statements: (seq: number, known: Known) => readonly string[];
  /** Found only with a head that was kept elsewhere. */
  readonly needsHead?: boolean;
}

const columns = "seq, at, tenant_id, action, sandbox_id, body, previous, hash";

function insertion(seq: number, after: AuditHead): string {
  const row = chained(entry({ result: "forged" }), { ...after, at: "2026-01-01T00:00:00.000Z" });
  return `insert into audit (${columns}) values (${seq}, '${row.at}', null, '${row.action}', null, '${row.body}', '${row.previous}', '${row.hash}')`;
}

/** Moves all from `seq` on by one place; by way of numbers that are free, since each step checks the key. */
function shifted(seq: number, by: number): readonly string[] {
  return [
    `update audit set seq = seq + 1000 where seq >= ${seq}`,
    `update audit set seq = seq - ${1000 - by} where seq >= 1000`,
  ];
}

function headAt(head: AuditHead | undefined): string {
  return `update audit_head set seq = ${head?.seq ?? 0}, hash = '${head?.hash ?? ""}'`;
}

/** The end of the chain after record `seq`. */
function end(known: Known, seq: number): AuditHead {
  return known.heads[seq - 1] ?? { seq: 0, hash: "0".repeat(64) };
}

const tamperings: readonly Tampering[] = [
  {
    does: "changes a record's content",
    finds: "changed",
    statements: (seq) => [
      `update audit set body = replace(body, '"ok"', '"no"') where seq = ${seq}`,
    ],
  },
  {
    does: "changes what a record is found by",
    finds: "changed",
    statements: (seq) => [`update audit set tenant_id = 'somebody' where seq = ${seq}`],
  },
  {
    does: "changes a record and its hash",
    finds: "changed",
    statements: (seq, known) => [
      `delete from audit where seq = ${seq}`,
      insertion(seq, end(known, seq - 1)),
    ],
  },
  {
    does: "removes a record",
    finds: "removed",
    statements: (seq) => [`delete from audit where seq = ${seq}`],
  },
  {
    does: "removes a record and closes the gap",
    finds: "removed",
    statements: (seq) => [`delete from audit where seq = ${seq}`, ...shifted(seq + 1, -1)],
  },
  {
    does: "inserts a record",
    finds: "inserted",
    statements: (seq, known) => [...shifted(seq, 1), insertion(seq, end(known, seq - 1))],
  },
  {
    does: "inserts a record after the end",
    finds: "inserted",
    statements: (_, known) => [insertion(length + 1, end(known, length))],
  },
  {
    does: "exchanges two records",
    finds: "reordered",
    statements: (seq) => [
      `update audit set seq = 1000 where seq = ${seq}`,
      `update audit set seq = ${seq} where seq = ${seq + 1}`,
      `update audit set seq = ${seq + 1} where seq = 1000`,
    ],
  },
  {
    does: "cuts off the end",
    finds: "truncated",
    statements: (seq) => [`delete from audit where seq >= ${seq}`],
  },
  {
    does: "removes the note of the end",
    finds: "truncated",
    statements: () => ["delete from audit_head"],
  },
  {
    does: "cuts off the end and moves the note of it back",
    finds: "truncated",
    statements: (seq, known) => [
      `delete from audit where seq >= ${seq}`,
      headAt(end(known, seq - 1)),
    ],
    needsHead: true,
  },
  {
    does: "writes another chain from the end on",
    finds: "changed",
    statements: (_, known) => [
      `delete from audit where seq = ${length}`,
      insertion(length, end(known, length - 1)),
      headAt({
        seq: length,
        hash: chained(entry({ result: "forged" }), {
          ...end(known, length - 1),
          at: "2026-01-01T00:00:00.000Z",
        }).hash,
      }),
    ],
    needsHead: true,
  },
];

export function tamperingCases(subject: Subject): void {
  for (const { does, finds, statements, needsHead = false } of tamperings)
    test(`who ${does} is found: ${finds}`, async () => {
      const run = fc.asyncProperty(fc.integer({ min: 2, max: length - 1 }), (seq) =>
        withStore(subject, async (store, place) => {
          const log = openAuditLog(store);
          const records = await Promise.all(
            Array.from({ length }, (_, index) =>
              log.append(entry({ details: { index: `${index}` } })),
            ),
          );
          const heads = records.map((record) => ({ seq: record.seq, hash: record.hash }));
          const expected = await log.head();
          expect(await log.verify({ expected })).toEqual({ ok: true, head: expected });
          await subject.behindItsBack(place, statements(seq, { heads }), { triggers: "off" });
          expect((await log.verify()).ok).toBe(needsHead);
          const verdict = await log.verify({ expected });
          expect(verdict).toMatchObject({ ok: false, fault: finds });
        }),
      );
      await fc.assert(run, { numRuns: 4 });
    });
}
