import { randomBytes } from "node:crypto";
import type { NewSandbox } from "../../src/store/sandbox-record.ts";
import type { Store } from "../../src/store/store.ts";
import type { Tenant, TenantLimits } from "../../src/store/tenant.ts";

export const someDigest: string = `sha256:${"5d".repeat(32)}`;

export function timeFromNow(ms: number): string {
  return new Date(Date.now() + ms).toISOString();
}

/** A tenant that reaches no limit but the given ones. */
export async function newTenant(
  { tenants }: Pick<Store, "tenants">,
  limits: Partial<TenantLimits> = {},
): Promise<Tenant> {
  return tenants.create({
    name: `tenant ${randomBytes(4).toString("hex")}`,
    limits: {
      maxSandboxes: 1e6,
      maxCpus: 1e6,
      maxMemoryMiB: 1e9,
      maxKept: 1e6,
      maxLifetimeMs: 1e9,
      createsPerMinute: 1e6,
      ...limits,
    },
  });
}

export function newSandbox(tenantId: string, changes: Partial<NewSandbox> = {}): NewSandbox {
  return {
    id: `i${randomBytes(10).toString("hex")}`,
    tenantId,
    keyId: null,
    host: "here",
    driver: "some",
    template: "base",
    metadata: {},
    resources: { cpus: 1, memoryMiB: 512, diskMiB: 1024, pids: 128, openFiles: 1024 },
    startedAt: timeFromNow(0),
    endAt: timeFromNow(300_000),
    lifetimeMs: 300_000,
    idleTimeoutMs: 0,
    onTimeout: "kill",
    pauseKeeps: "memory",
    autoResume: false,
    domain: null,
    network: null,
    secrets: { envdAccessToken: "token-a", trafficAccessToken: null, envs: { NAME: "value" } },
    ...changes,
  };
}
