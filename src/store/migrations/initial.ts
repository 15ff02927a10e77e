import type { StoreKind } from "../schema.ts";
import { auditTriggers } from "./audit-triggers.ts";

/** The tables of the first version. */
export function initial(kind: StoreKind): readonly string[] {
  return [...tables(textType(kind)), ...auditTriggers(kind)];
}

/** Text that is compared by its bytes, as pages and times need it. */
function textType(kind: StoreKind): string {
  return kind === "postgresql" ? 'text collate "C"' : "text";
}

function tables(text: string): readonly string[] {
  return [...owners(text), ...sandboxes(text), ...images(text), ...metrics(text), ...audit(text)];
}

function owners(text: string): readonly string[] {
  return [
    `create table tenants (
      id ${text} primary key,
      name ${text} not null unique,
      limits ${text} not null,
      created_at ${text} not null
    )`,
    `create table api_keys (
      id ${text} primary key,
      tenant_id ${text} not null references tenants (id),
      name ${text} not null,
      prefix ${text} not null,
      hash ${text} not null unique,
      created_at ${text} not null,
      last_used_at ${text},
      revoked_at ${text}
    )`,
    "create index api_keys_of_tenant on api_keys (tenant_id)",
  ];
}

function sandboxes(text: string): readonly string[] {
  return [
    `create table sandboxes (
      id ${text} primary key,
      tenant_id ${text} not null references tenants (id),
      key_id ${text},
      driver ${text} not null,
      template ${text} not null,
      metadata ${text} not null,
      resources ${text} not null,
      cpus double precision not null,
      memory_mib double precision not null,
      state ${text} not null check (state in ('creating', 'running', 'pausing', 'paused', 'resuming', 'ended')),
      started_at ${text} not null,
      end_at ${text} not null,
      idle_timeout_ms double precision not null,
      on_timeout ${text} not null,
      pause_keeps ${text} not null,
      auto_resume integer not null,
      domain ${text},
      network ${text} not null,
      agent_version ${text},
      paused_kind ${text},
      paused_digest ${text},
      end_reason ${text},
      ended_at ${text},
      check ((state = 'ended') = (ended_at is not null)),
      check (state <> 'paused' or paused_digest is not null)
    )`,
    "create index sandboxes_by_start on sandboxes (started_at, id)",
    "create index sandboxes_of_tenant_by_start on sandboxes (tenant_id, started_at, id)",
    "create index sandboxes_of_tenant_by_state on sandboxes (tenant_id, state)",
    "create index sandboxes_by_end on sandboxes (state, ended_at)",
    `create table sandbox_metadata (
      sandbox_id ${text} not null references sandboxes (id) on delete cascade,
      name ${text} not null,
      value ${text} not null,
      primary key (sandbox_id, name)
    )`,
    `create table sandbox_secrets (
      sandbox_id ${text} primary key references sandboxes (id) on delete cascade,
      envd_access_token ${text},
      traffic_access_token ${text},
      envs ${text} not null
    )`,
  ];
}

function images(text: string): readonly string[] {
  return [
    `create table snapshots (
      id ${text} primary key,
      tenant_id ${text} not null references tenants (id),
      sandbox_id ${text} not null,
      driver ${text} not null,
      template ${text} not null,
      digest ${text} not null,
      created_at ${text} not null
    )`,
    "create index snapshots_of_tenant on snapshots (tenant_id, created_at, id)",
    `create table snapshot_names (
      tenant_id ${text} not null,
      name ${text} not null,
      snapshot_id ${text} not null references snapshots (id) on delete cascade,
      primary key (tenant_id, name)
    )`,
    "create index names_of_snapshot on snapshot_names (snapshot_id)",
    `create table templates (
      id ${text} primary key,
      name ${text} not null unique,
      tenant_id ${text} references tenants (id),
      is_public integer not null,
      default_driver ${text},
      created_at ${text} not null
    )`,
  ];
}

function metrics(text: string): readonly string[] {
  return [
    `create table metric_rings (
      sandbox_id ${text} primary key references sandboxes (id) on delete cascade,
      written integer not null
    )`,
    `create table metrics (
      sandbox_id ${text} not null references sandboxes (id) on delete cascade,
      slot integer not null,
      at ${text} not null,
      cpu_count double precision not null,
      cpu_used_percent double precision not null,
      memory_used_bytes double precision not null,
      memory_total_bytes double precision not null,
      memory_cache_bytes double precision not null,
      disk_used_bytes double precision not null,
      disk_total_bytes double precision not null,
      primary key (sandbox_id, slot)
    )`,
    "create index metrics_by_time on metrics (sandbox_id, at)",
  ];
}

function audit(text: string): readonly string[] {
  return [
    `create table audit (
      seq bigint primary key,
      at ${text} not null,
      tenant_id ${text},
      action ${text} not null,
      sandbox_id ${text},
      body ${text} not null,
      previous ${text} not null,
      hash ${text} not null
    )`,
    "create index audit_of_tenant on audit (tenant_id, seq)",
    "create index audit_of_sandbox on audit (sandbox_id, seq)",
    "create index audit_by_time on audit (at)",
    `create table audit_head (
      id integer primary key check (id = 1),
      seq bigint not null,
      hash ${text} not null
    )`,
    `insert into audit_head (id, seq, hash) values (1, 0, '${"0".repeat(64)}')`,
  ];
}
