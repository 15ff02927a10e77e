import type { SandboxRecord, SandboxSecrets } from "../../store/sandbox-record.ts";
import { type Asked, type Plan, makeSandbox } from "./make.ts";
import { reportedNetwork } from "./network.ts";
import { type LifeParts, driverNamed, serverMark } from "./parts.ts";
import { driverNameOf } from "./snapshot-name.ts";
import { dropFiles, take } from "./snapshots.ts";
import { lifetimeOf } from "./wanted.ts";

export interface ForkRequest extends Asked {
  readonly count: number;
  /** Seconds from now. */
  readonly seconds: number;
}

export type Forked = PromiseSettledResult<SandboxRecord>;

const atOnce = 4;

/**
 * Makes copies of a sandbox that runs, which goes on: all of one snapshot, which is nobody's and goes afterwards. Each copy
 * comes to be or fails on its own.
 */
export async function forkSandbox(
  parts: LifeParts,
  sandboxId: string,
  { count, seconds, ...asked }: ForkRequest,
): Promise<readonly Forked[]> {
  const { tenant } = asked.by;
  const lifetimeMs = lifetimeOf(seconds, tenant.limits);
  const { id, record, release } = await take(parts, sandboxId, tenant);
  try {
    const secrets = await parts.store.sandboxes.secrets(sandboxId);
    const plan = planOf(parts, { snapshotId: id, record, secrets, lifetimeMs });
    const forks: Forked[] = [];
    for (let made = 0; made < count; made += atOnce) {
      const batch = Array.from({ length: Math.min(atOnce, count - made) }, () =>
        makeSandbox(parts, plan, asked),
      );
      forks.push(...(await Promise.allSettled(batch)));
    }
    return forks;
  } finally {
    await dropFiles(parts, record.driver, id);
    release();
  }
}

interface Source {
  readonly snapshotId: string;
  readonly record: SandboxRecord;
  readonly secrets: SandboxSecrets;
  readonly lifetimeMs: number;
}

/** As the sandbox itself was made. */
function planOf(parts: LifeParts, { snapshotId, record, secrets, lifetimeMs }: Source): Plan {
  const { resources, onTimeout, pauseKeeps } = record;
  return {
    driver: driverNamed(parts, record.driver, "driver"),
    spec: {
      template: driverNameOf(snapshotId),
      resources,
      lease: {
        lifetimeMs,
        idleTimeoutMs: 0,
        detached: true,
        atLifetimeEnd: onTimeout === "pause" ? pauseKeeps : "end",
      },
      egress: { allowOut: [], denyOut: [] },
      envs: secrets.envs,
      metadata: { ...record.metadata, [serverMark]: "1" },
      seccomp: undefined,
    },
    secure: secrets.envdAccessToken !== null,
    isPublic: reportedNetwork(record.network).allowPublicTraffic,
    row: record,
  };
}
