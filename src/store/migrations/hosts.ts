import type { StoreKind } from "../schema.ts";

/** Several servers share a store: each row says whose host it is on. What pauses, idle time-outs and snapshots need beside. */
export function hosts(kind: StoreKind): readonly string[] {
  const text = kind === "postgresql" ? 'text collate "C"' : "text";
  return [
    `alter table sandboxes add column host ${text} not null default ''`,
    "alter table sandboxes add column lifetime_ms double precision not null default 300000",
    `alter table sandboxes add column last_used_at ${text}`,
    "create index sandboxes_of_host_by_state on sandboxes (host, state)",
    `alter table snapshots add column host ${text} not null default ''`,
    `alter table snapshots add column kept ${text} not null default 'files'`,
    `alter table snapshots add column resources ${text} not null default '{}'`,
  ];
}
