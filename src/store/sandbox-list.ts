import { type RawBuilder, type SelectQueryBuilder, sql } from "kysely";
import { z } from "zod";
import { parsed, shortText, textPairs, time } from "./door.ts";
import { limitOf, type Page, pageOf, type Place, placeOf } from "./paging.ts";
import type { SandboxFilter, SandboxListOptions, SandboxRecord } from "./sandbox-record.ts";
import { recordOf } from "./sandbox-rows.ts";
import type { Queries, Schema } from "./schema.ts";
import { sandboxStates } from "./state-moves.ts";

const filterSchema: z.ZodType<SandboxFilter> = z.object({
  tenantId: shortText.exactOptional(),
  hosts: z.array(z.union([z.literal(""), shortText])).exactOptional(),
  states: z.array(z.enum(sandboxStates)).exactOptional(),
  metadata: textPairs
    .refine((pairs) => Object.keys(pairs).length <= 20, "more than 20 pairs")
    .exactOptional(),
  template: shortText.exactOptional(),
  startedAfter: time.exactOptional(),
});

export async function listSandboxes(
  queries: Queries,
  options: SandboxListOptions = {},
): Promise<Page<SandboxRecord>> {
  const limit = limitOf(options.limit);
  const place = placeOf(options.token);
  const direction = options.order === "oldest-first" ? "asc" : "desc";
  const rows = await filtered(queries.selectFrom("sandboxes").selectAll(), options)
    .$if(place !== undefined, (query) => query.where(beyond(place, direction)))
    .orderBy("started_at", direction)
    .orderBy("id", direction)
    .limit(limit + 1)
    .execute();
  return pageOf(rows, limit, { place: (row) => [row.started_at, row.id], record: recordOf });
}

export async function countSandboxes(
  queries: Queries,
  filter: SandboxFilter = {},
): Promise<number> {
  const { total } = await filtered(
    queries.selectFrom("sandboxes").select(({ fn }) => fn.countAll().as("total")),
    filter,
  ).executeTakeFirstOrThrow();
  return Number(total);
}

function beyond(place: Place = ["", ""], direction: "asc" | "desc"): RawBuilder<boolean> {
  return direction === "asc"
    ? sql<boolean>`(started_at, id) > (${place[0]}, ${place[1]})`
    : sql<boolean>`(started_at, id) < (${place[0]}, ${place[1]})`;
}

type Selection<Output> = SelectQueryBuilder<Schema, "sandboxes", Output>;

function filtered<Output>(query: Selection<Output>, options: SandboxFilter): Selection<Output> {
  const { tenantId, hosts, states, metadata = {} } = parsed(filterSchema, options);
  const { template, startedAfter } = options;
  let narrowed = query;
  if (tenantId !== undefined) narrowed = narrowed.where("tenant_id", "=", tenantId);
  if (hosts !== undefined) narrowed = narrowed.where(isOneOf("host", hosts));
  if (states !== undefined) narrowed = narrowed.where(isOneOf("state", states));
  if (template !== undefined) narrowed = narrowed.where("template", "=", template);
  if (startedAfter !== undefined) narrowed = narrowed.where("started_at", ">", startedAfter);
  for (const [name, value] of Object.entries(metadata))
    narrowed = narrowed.where((where) =>
      where.exists(
        where
          .selectFrom("sandbox_metadata")
          .select("sandbox_id")
          .whereRef("sandbox_id", "=", "sandboxes.id")
          .where("sandbox_metadata.name", "=", name)
          .where("sandbox_metadata.value", "=", value),
      ),
    );
  return narrowed;
}

/** PostgreSQL has no empty list. */
function isOneOf(column: "host" | "state", values: readonly string[]): RawBuilder<boolean> {
  return values.length === 0
    ? sql<boolean>`1 = 0`
    : sql<boolean>`${sql.ref(column)} in (${sql.join(values)})`;
}
