import { LimitReached } from "./limit-reached.ts";
import type { Usage } from "./sandbox-record.ts";
import type { Queries } from "./schema.ts";
import { liveStates } from "./state-moves.ts";
import type { TenantLimits } from "./tenant.ts";
import { timeAt } from "./times.ts";

const minuteMs = 60_000;
/** When a place may be free again that only the end of a sandbox frees. Milliseconds. */
const retryForPlaceMs = 5_000;

export interface Wanted {
  readonly cpus: number;
  readonly memoryMiB: number;
}

/** Throws `LimitReached` when one more sandbox would pass what its tenant may use at once. */
export function admit(limits: TenantLimits, used: Usage, wanted: Wanted): void {
  const passed = checks.find(
    ({ limit, amount }) => amount(used) + amount({ sandboxes: 1, ...wanted }) > limits[limit],
  );
  if (passed === undefined) return;
  const { limit, amount, unit } = passed;
  throw new LimitReached(
    limit,
    `${amount(used)} of ${limits[limit]} ${unit} are in use, and ${amount({ sandboxes: 1, ...wanted })} more are asked for`,
    { retryAfterMs: retryForPlaceMs, mend: "end or pause a sandbox, or have the limit raised" },
  );
}

const checks: readonly {
  readonly limit: "maxSandboxes" | "maxCpus" | "maxMemoryMiB";
  readonly unit: string;
  readonly amount: (usage: Usage) => number;
}[] = [
  { limit: "maxSandboxes", unit: "sandboxes", amount: ({ sandboxes }) => sandboxes },
  { limit: "maxCpus", unit: "cpus", amount: ({ cpus }) => cpus },
  { limit: "maxMemoryMiB", unit: "MiB of memory", amount: ({ memoryMiB }) => memoryMiB },
];

/** What the tenant's live sandboxes use together, and the memory of paused ones that kept it. */
export async function usageOf(queries: Queries, tenantId: string): Promise<Usage> {
  const rows = await queries
    .selectFrom("sandboxes")
    .select(({ fn }) => [
      "state",
      fn.countAll().as("sandboxes"),
      fn.sum("cpus").as("cpus"),
      fn.sum("memory_mib").as("memory"),
    ])
    .where("tenant_id", "=", tenantId)
    .where((is) =>
      is.or([
        is("state", "in", liveStates),
        is.and([is("state", "=", "paused"), is("paused_kind", "=", "memory")]),
      ]),
    )
    .groupBy("state")
    .execute();
  const used = { sandboxes: 0, cpus: 0, memoryMiB: 0 };
  for (const { state, sandboxes, cpus, memory } of rows) {
    used.memoryMiB += Number(memory ?? 0);
    if (state === "paused") continue;
    used.sandboxes += Number(sandboxes);
    used.cpus += Number(cpus ?? 0);
  }
  return used;
}

/** Throws `LimitReached` when the tenant has as many sandboxes, paused ones among them, and snapshots as may be kept for it. */
export async function admitKept(
  queries: Queries,
  tenantId: string,
  { maxSandboxes, maxKept }: TenantLimits,
): Promise<void> {
  const most = maxSandboxes + maxKept;
  const count = async (table: "sandboxes" | "snapshots"): Promise<number> => {
    const row = await queries
      .selectFrom(table)
      .select(({ fn }) => fn.countAll().as("count"))
      .where("tenant_id", "=", tenantId)
      .$if(table === "sandboxes", (query) => query.where("state", "<>", "ended"))
      .executeTakeFirstOrThrow();
    return Number(row.count);
  };
  const kept = (await count("sandboxes")) + (await count("snapshots"));
  if (kept < most) return;
  throw new LimitReached(
    "maxKept",
    `${kept} sandboxes and snapshots are kept, and no more than ${most} may be`,
    {
      retryAfterMs: retryForPlaceMs,
      mend: "end a paused sandbox, remove a snapshot, or have the limit raised",
    },
  );
}

/** Throws `LimitReached` when the tenant has made as many sandboxes within a minute as it may. */
export async function admitRate(
  queries: Queries,
  tenantId: string,
  { createsPerMinute }: TenantLimits,
): Promise<void> {
  const now = Date.now();
  const oldest = await queries
    .selectFrom("sandboxes")
    .select("started_at")
    .where("tenant_id", "=", tenantId)
    .where("started_at", ">", timeAt(now - minuteMs))
    .orderBy("started_at", "desc")
    .limit(1)
    .offset(Math.max(createsPerMinute, 1) - 1)
    .executeTakeFirst();
  if (createsPerMinute > 0 && oldest === undefined) return;
  const freeAt = oldest === undefined ? now + minuteMs : Date.parse(oldest.started_at) + minuteMs;
  throw new LimitReached(
    "createsPerMinute",
    `${createsPerMinute} sandboxes were made within a minute, and no more may be`,
    { retryAfterMs: Math.max(freeAt - now, 1), mend: "try again later" },
  );
}
