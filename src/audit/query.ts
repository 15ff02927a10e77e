import { type RawBuilder, sql } from "kysely";
import { z } from "zod";
import { SandboxError } from "../core/errors.ts";
import { parsed, shortText, time } from "../store/door.ts";
import { limitOf, type Page, pageOf, placeOf } from "../store/paging.ts";
import type { Queries, StoreKind } from "../store/schema.ts";
import type { AuditQuery, AuditRecord } from "./audit-record.ts";
import { recordOf } from "./chain.ts";

const querySchema: z.ZodType<AuditQuery> = z.strictObject({
  tenantId: shortText.exactOptional(),
  sandboxId: shortText.exactOptional(),
  action: shortText.exactOptional(),
  actionsBut: z.array(shortText).min(1).max(100).exactOptional(),
  result: shortText.exactOptional(),
  since: time.exactOptional(),
  until: time.exactOptional(),
  limit: z.number().exactOptional(),
  token: z.string().exactOptional(),
});

/** Records that match, newest first. */
export async function queryAudit(
  { queries, kind }: { readonly queries: Queries; readonly kind: StoreKind },
  asked: AuditQuery = {},
): Promise<Page<AuditRecord>> {
  const { tenantId, sandboxId, since, until, token, ...rest } = parsed(querySchema, asked);
  const limit = limitOf(rest.limit);
  let query = queries.selectFrom("audit").selectAll();
  if (tenantId !== undefined) query = query.where("tenant_id", "=", tenantId);
  if (sandboxId !== undefined) query = query.where("sandbox_id", "=", sandboxId);
  if (rest.action !== undefined) query = query.where("action", "=", rest.action);
  if (rest.actionsBut !== undefined) query = query.where("action", "not in", rest.actionsBut);
  if (rest.result !== undefined) query = query.where(resultIn(kind), "=", rest.result);
  if (since !== undefined) query = query.where("at", ">=", since);
  if (until !== undefined) query = query.where("at", "<", until);
  if (token !== undefined) query = query.where("seq", "<", numberOf(token));
  const found = await query
    .orderBy("seq", "desc")
    .limit(limit + 1)
    .execute();
  const rows = found.map((row) => ({ ...row, seq: Number(row.seq) }));
  return pageOf(rows, limit, { place: ({ at, seq }) => [at, String(seq)], record: recordOf });
}

/** The only part that no column repeats. */
function resultIn(kind: StoreKind): RawBuilder<string> {
  return kind === "sqlite"
    ? sql<string>`json_extract(body, '$.result')`
    : sql<string>`(body::json ->> 'result')`;
}

function numberOf(token: string): number {
  const seq = Number(placeOf(token)?.[1]);
  if (Number.isSafeInteger(seq)) return seq;
  throw new SandboxError("invalid", "token: not one that a page of this list gave", {
    field: "token",
  });
}
