import { createHash } from "node:crypto";
import { z } from "zod";
import type { AuditEntry, AuditRecord } from "./audit-record.ts";

/** What the first record's `previous` is. */
export const noHash: string = "0".repeat(64);

/** A record as the table holds it. `body` is what is hashed, byte for byte; the other columns repeat parts of it. */
export interface AuditRow {
  readonly seq: number;
  readonly at: string;
  readonly tenant_id: string | null;
  readonly action: string;
  readonly sandbox_id: string | null;
  readonly body: string;
  readonly previous: string;
  readonly hash: string;
}

/** What is signed by the hash: the entry, its number and its time. */
type Body = AuditEntry & { readonly seq: number; readonly at: string };

const bodySchema: z.ZodType<Body> = z.strictObject({
  seq: z.number().int().min(1),
  at: z.string(),
  tenantId: z.string().nullable(),
  actor: z.string(),
  action: z.string(),
  sandboxId: z.string().nullable(),
  from: z.string().nullable(),
  result: z.string(),
  details: z.record(z.string(), z.string()),
});

/** The row that follows a record with the hash `previous`. */
export function chained(
  entry: AuditEntry,
  after: { seq: number; hash: string; at: string },
): AuditRow {
  const seq = after.seq + 1;
  const body = canonicalJson({ ...entry, seq, at: after.at });
  return {
    seq,
    at: after.at,
    tenant_id: entry.tenantId,
    action: entry.action,
    sandbox_id: entry.sandboxId,
    body,
    previous: after.hash,
    hash: hashOf(after.hash, body),
  };
}

function hashOf(previous: string, body: string): string {
  return createHash("sha256").update(`${previous}\n${body}`).digest("hex");
}

/** JSON as RFC 8785 writes texts and whole numbers: keys in the order of their UTF-16 units, no white space. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const members = Object.entries(value)
    .toSorted(([left], [right]) => (left < right ? -1 : 1))
    .map(([name, member]) => `${JSON.stringify(name)}:${canonicalJson(member)}`);
  return `{${members.join(",")}}`;
}

/** Whether the row's content is what was hashed. Says nothing of its place. */
export function isIntact(row: AuditRow): boolean {
  return hashOf(row.previous, row.body) === row.hash && bodyOf(row) !== undefined;
}

/** Whether the columns by which the row is found, its number apart, say what its content says. */
export function isFoundRight(row: AuditRow): boolean {
  const body = bodyOf(row);
  return (
    body?.at === row.at &&
    body.tenantId === row.tenant_id &&
    body.action === row.action &&
    body.sandboxId === row.sandbox_id
  );
}

/** The number that the content names; `undefined`: the content is not a record. */
export function numberIn(row: AuditRow): number | undefined {
  return bodyOf(row)?.seq;
}

function bodyOf(row: AuditRow): Body | undefined {
  try {
    return bodySchema.safeParse(JSON.parse(row.body)).data;
  } catch (cause) {
    if (cause instanceof SyntaxError) return undefined;
    throw cause;
  }
}

export function recordOf(row: AuditRow): AuditRecord {
  return {
    ...bodySchema.parse(JSON.parse(row.body)),
    previous: row.previous,
    hash: row.hash,
  };
}
