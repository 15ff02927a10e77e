import type { ColumnType, Kysely, Transaction } from "kysely";
import type { Kept } from "../core/kept.ts";
import type { SandboxState } from "./state-moves.ts";

/** The tables as both databases hold them. Truths are 0 or 1, JSON is text, times are RFC 3339 text. */
export interface Schema {
  migrations: { version: number; name: string; applied_at: string };
  tenants: { id: string; name: string; limits: string; created_at: string };
  api_keys: {
    id: string;
    tenant_id: string;
    name: string;
    prefix: string;
    hash: string;
    created_at: string;
    last_used_at: string | null;
    revoked_at: string | null;
  };
  sandboxes: SandboxTable;
  sandbox_metadata: { sandbox_id: string; name: string; value: string };
  sandbox_secrets: {
    sandbox_id: string;
    envd_access_token: string | null;
    traffic_access_token: string | null;
    envs: string;
  };
  snapshots: {
    id: string;
    tenant_id: string;
    sandbox_id: string;
    driver: string;
    template: string;
    digest: string;
    created_at: string;
    host: string;
    kept: Kept;
    resources: string;
    size_bytes: number;
  };
  snapshot_names: { tenant_id: string; name: string; snapshot_id: string };
  templates: {
    id: string;
    name: string;
    tenant_id: string | null;
    is_public: number;
    default_driver: string | null;
    created_at: string;
  };
  metric_rings: { sandbox_id: string; written: number };
  metrics: {
    sandbox_id: string;
    slot: number;
    at: string;
    cpu_count: number;
    cpu_used_percent: number;
    memory_used_bytes: number;
    memory_total_bytes: number;
    memory_cache_bytes: number;
    disk_used_bytes: number;
    disk_total_bytes: number;
  };
  audit: {
    /** PostgreSQL gives it as text. */
    seq: ColumnType<number | string, number, never>;
    at: string;
    tenant_id: string | null;
    action: string;
    sandbox_id: string | null;
    body: string;
    previous: string;
    hash: string;
  };
  audit_head: { id: number; seq: ColumnType<number | string, number, number>; hash: string };
}

export interface SandboxTable {
  id: string;
  tenant_id: string;
  key_id: string | null;
  driver: string;
  template: string;
  metadata: string;
  resources: string;
  cpus: number;
  memory_mib: number;
  state: SandboxState;
  started_at: string;
  end_at: string;
  idle_timeout_ms: number;
  on_timeout: "kill" | "pause";
  pause_keeps: Kept;
  auto_resume: number;
  domain: string | null;
  network: string;
  agent_version: string | null;
  paused_kind: Kept | null;
  /** Not null while it is paused, as the first version asked for a digest; those who keep the image verify it themselves. */
  paused_digest: "" | null;
  end_reason: string | null;
  ended_at: string | null;
  host: string;
  lifetime_ms: number;
  last_used_at: string | null;
}

/** Something to run queries on: the database, or a transaction in it. */
export type Queries = Kysely<Schema>;
export type Writing = Transaction<Schema>;
export type StoreKind = "sqlite" | "postgresql";
