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

/** What the tenant's live sandboxes use together. */
export async function usageOf(queries: Queries, tenantId: string): Promise<Usage> {
  const row = await queries
    .selectFrom("sandboxes")
    .select(({ fn }) => [
      fn.countAll().as("sandboxes"),
      fn.sum("cpus").as("cpus"),
      fn.sum("memory_mib").as("memory"),
    ])
    .where("tenant_id", "=", tenantId)
    .where("state", "in", liveStates)
    .executeTakeFirstOrThrow();
  return {
    sandboxes: Number(row.sandboxes),
    cpus: Number(row.cpus ?? 0),
    memoryMiB: Number(row.memory ?? 0),
  };
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
