import { z } from "zod";
import type { Resources } from "../core/spec.ts";
import { count, longText, positive, shortText, stored, textPairs, time } from "./door.ts";
import type { NewSandbox, SandboxChanges, SandboxRecord } from "./sandbox-record.ts";
import type { SandboxTable } from "./schema.ts";

const longestNetworkCharacters = 65_536;

const kept = z.enum(["memory", "files"]);

export const resourcesSchema: z.ZodType<Resources> = z.strictObject({
  cpus: positive,
  memoryMiB: positive,
  diskMiB: positive,
  pids: positive,
  openFiles: positive,
});

/** What JSON can hold, within bounds. */
export const network: z.ZodType = z
  .json()
  .refine((value) => JSON.stringify(value).length <= longestNetworkCharacters, "is too long");

export const newSandboxSchema: z.ZodType<NewSandbox> = z.strictObject({
  id: shortText,
  tenantId: shortText,
  keyId: shortText.nullable(),
  host: z.union([z.literal(""), shortText]),
  driver: shortText,
  template: shortText,
  metadata: textPairs,
  resources: resourcesSchema,
  startedAt: time,
  endAt: time,
  lifetimeMs: positive,
  idleTimeoutMs: count,
  onTimeout: z.enum(["kill", "pause"]),
  pauseKeeps: kept,
  autoResume: z.boolean(),
  domain: shortText.nullable(),
  network,
  secrets: z.strictObject({
    envdAccessToken: shortText.nullable(),
    trafficAccessToken: shortText.nullable(),
    envs: textPairs,
  }),
});

export const changesSchema: z.ZodType<SandboxChanges> = z.strictObject({
  endAt: time.exactOptional(),
  lifetimeMs: positive.exactOptional(),
  agentVersion: shortText.exactOptional(),
  onTimeout: z.enum(["kill", "pause"]).exactOptional(),
  pauseKeeps: kept.exactOptional(),
  autoResume: z.boolean().exactOptional(),
  kept: kept.exactOptional(),
  endReason: longText.exactOptional(),
});

export function rowOf(sandbox: NewSandbox): SandboxTable {
  return {
    id: sandbox.id,
    tenant_id: sandbox.tenantId,
    key_id: sandbox.keyId,
    driver: sandbox.driver,
    template: sandbox.template,
    metadata: JSON.stringify(sandbox.metadata),
    resources: JSON.stringify(sandbox.resources),
    cpus: sandbox.resources.cpus,
    memory_mib: sandbox.resources.memoryMiB,
    state: "creating",
    started_at: sandbox.startedAt,
    end_at: sandbox.endAt,
    idle_timeout_ms: sandbox.idleTimeoutMs,
    on_timeout: sandbox.onTimeout,
    pause_keeps: sandbox.pauseKeeps,
    auto_resume: Number(sandbox.autoResume),
    domain: sandbox.domain,
    network: JSON.stringify(sandbox.network),
    agent_version: null,
    paused_kind: null,
    paused_digest: null,
    end_reason: null,
    ended_at: null,
    host: sandbox.host,
    lifetime_ms: sandbox.lifetimeMs,
    last_used_at: null,
  };
}

export function recordOf(row: SandboxTable): SandboxRecord {
  return {
    id: row.id,
    tenantId: row.tenant_id,
    keyId: row.key_id,
    host: row.host,
    driver: row.driver,
    template: row.template,
    metadata: stored(textPairs, row.metadata),
    resources: stored(resourcesSchema, row.resources),
    state: row.state,
    startedAt: row.started_at,
    endAt: row.end_at,
    lifetimeMs: row.lifetime_ms,
    idleTimeoutMs: row.idle_timeout_ms,
    lastUsedAt: row.last_used_at,
    onTimeout: row.on_timeout,
    pauseKeeps: row.pause_keeps,
    autoResume: row.auto_resume === 1,
    domain: row.domain,
    network: stored(network, row.network),
    agentVersion: row.agent_version,
    kept: row.paused_kind,
    endReason: row.end_reason,
    endedAt: row.ended_at,
  };
}

/** The columns that the changes set. */
export function columnsOf(changes: SandboxChanges): Partial<SandboxTable> {
  const { endAt, lifetimeMs, agentVersion, onTimeout, pauseKeeps, autoResume, endReason } = changes;
  return {
    ...(endAt === undefined ? {} : { end_at: endAt }),
    ...(lifetimeMs === undefined ? {} : { lifetime_ms: lifetimeMs }),
    ...(agentVersion === undefined ? {} : { agent_version: agentVersion }),
    ...(onTimeout === undefined ? {} : { on_timeout: onTimeout }),
    ...(pauseKeeps === undefined ? {} : { pause_keeps: pauseKeeps }),
    ...(autoResume === undefined ? {} : { auto_resume: Number(autoResume) }),
    ...(changes.kept === undefined ? {} : { paused_kind: changes.kept, paused_digest: "" }),
    ...(endReason === undefined ? {} : { end_reason: endReason }),
  };
}
