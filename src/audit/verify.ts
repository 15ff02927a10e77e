import { setImmediate } from "node:timers/promises";
import { sql } from "kysely";
import { SandboxError } from "../core/errors.ts";
import { notAborted } from "../core/validate.ts";
import type { StoreDatabase } from "../store/database.ts";
import type { Queries } from "../store/schema.ts";
import type { AuditFault, AuditHead, AuditVerdict, VerifyOptions } from "./audit-record.ts";
import { type AuditRow, isFoundRight, isIntact, noHash, numberIn } from "./chain.ts";
import { headOf } from "./head.ts";

const rowsAtOnce = 500;

type Bad = Extract<AuditVerdict, { ok: false }>;
/** The last record that was found right. */
interface Verified {
  readonly seq: number;
  readonly hash: string;
  /** What it follows. */
  readonly previous: string | undefined;
}

/** Reads the chain from its first record to the head that it has at the beginning. */
export async function verifyAudit(
  database: StoreDatabase,
  options: VerifyOptions = {},
): Promise<AuditVerdict> {
  const { expected } = options;
  const head = await knownHead(database);
  if (head === undefined) return bad("truncated", 1, "the note of the chain's end is gone");
  if (expected !== undefined && expected.seq > head.seq)
    return bad("truncated", head.seq + 1, `record ${expected.seq} was there and is not`);
  const fault = (await walk(database, head, options)) ?? (await database.read(strays));
  return fault ?? { ok: true, head };
}

async function walk(
  database: StoreDatabase,
  head: AuditHead,
  { expected, onProgress, signal }: VerifyOptions,
): Promise<Bad | undefined> {
  let verified: Verified = { seq: 0, hash: noHash, previous: undefined };
  while (verified.seq < head.seq) {
    notAborted(signal);
    const { seq } = verified;
    const rows = await database.read((queries) => rowsAfter(queries, seq, head.seq));
    if (rows.length === 0) return bad("truncated", seq + 1, "the chain ends too early");
    for (const row of rows) {
      const fault = (await faultAt(database, row, verified)) ?? otherThan(row, { head, expected });
      if (fault !== undefined) return fault;
      verified = { seq: row.seq, hash: row.hash, previous: row.previous };
    }
    onProgress?.(verified.seq, head.seq);
    await setImmediate();
  }
  return undefined;
}

/** What is wrong when a noted hash of the record's place is another. */
function otherThan(
  { seq, hash }: AuditHead,
  { head, expected }: { readonly head: AuditHead; readonly expected: AuditHead | undefined },
): Bad | undefined {
  if (expected?.seq === seq && expected.hash !== hash)
    return bad("changed", seq, "it is not the record whose hash was kept elsewhere");
  if (head.seq === seq && head.hash !== hash)
    return bad("changed", seq, "it is not the record that the chain's end was noted to be");
  return undefined;
}

function bad(fault: AuditFault, seq: number, reason: string): Bad {
  return { ok: false, fault, seq, reason };
}

async function knownHead(database: StoreDatabase): Promise<AuditHead | undefined> {
  try {
    return await database.read(headOf);
  } catch (cause) {
    if (cause instanceof SandboxError && cause.code === "untrusted") return undefined;
    throw cause;
  }
}

async function rowsAfter(
  queries: Queries,
  seq: number,
  last: number,
): Promise<readonly AuditRow[]> {
  const rows = await queries
    .selectFrom("audit")
    .selectAll()
    .where("seq", ">", seq)
    .where("seq", "<=", last)
    .orderBy("seq")
    .limit(rowsAtOnce)
    .execute();
  return rows.map((row) => ({ ...row, seq: Number(row.seq) }));
}

/** What is wrong with the row that comes after the verified ones; `undefined`: nothing. */
async function faultAt(
  database: StoreDatabase,
  row: AuditRow,
  verified: Verified,
): Promise<Bad | undefined> {
  const place = verified.seq + 1;
  if (row.seq !== place) return bad("removed", place, `record ${place} is not there`);
  const isRightPlace = numberIn(row) === place && row.previous === verified.hash;
  if (isRightPlace && isIntact(row))
    return isFoundRight(row)
      ? undefined
      : bad("changed", place, "what it is found by is not what it says");
  if (!isIntact(row)) {
    return (await isElsewhere(database, verified.hash, place))
      ? bad("inserted", place, "a record that does not belong stands before the one that does")
      : bad("changed", place, "its hash is not that of its content");
  }
  if (row.previous === verified.previous)
    return bad("inserted", verified.seq, "two records follow the same one");
  if (await isElsewhere(database, verified.hash, place))
    return bad("reordered", place, "the record that belongs here stands elsewhere");
  return numberIn(row) === place
    ? bad("changed", verified.seq, "the record after it follows another one")
    : bad("removed", place, "the record that belongs here is nowhere");
}

/** Whether an intact record that follows `hash` stands at another place. Reads the whole table, once a fault is found. */
async function isElsewhere(database: StoreDatabase, hash: string, place: number): Promise<boolean> {
  const rows = await database.read((queries) =>
    queries
      .selectFrom("audit")
      .selectAll()
      .where("previous", "=", hash)
      .where("seq", "<>", place)
      .limit(rowsAtOnce)
      .execute(),
  );
  return rows.some((row) => isIntact({ ...row, seq: Number(row.seq) }));
}

/** Records outside the chain: before its beginning or after its end. */
async function strays(queries: Queries): Promise<Bad | undefined> {
  const { first, last, end } = await queries
    .selectFrom("audit_head")
    .select([
      sql<number | string | null>`(select min(seq) from audit)`.as("first"),
      sql<number | string | null>`(select max(seq) from audit)`.as("last"),
      "seq as end",
    ])
    .executeTakeFirstOrThrow();
  if (Number(first ?? 1) < 1)
    return bad("inserted", Number(first), "it stands before the first record");
  if (Number(last ?? 0) > Number(end))
    return bad("inserted", Number(end) + 1, "it stands after the last record");
  return undefined;
}
