import type { StoreKind } from "../schema.ts";

/** What keeps the audit table append-only against mistakes; the chain of hashes keeps it against more. */
export function auditTriggers(kind: StoreKind): readonly string[] {
  return kind === "postgresql" ? postgresql : sqlite;
}

const sqlite = [
  `create trigger audit_is_not_changed before update on audit
    begin select raise(abort, 'the audit log is append-only'); end`,
  `create trigger audit_is_not_removed before delete on audit
    begin select raise(abort, 'the audit log is append-only'); end`,
  `create trigger audit_grows_by_one before insert on audit
    when new.seq <> (select coalesce(max(seq), 0) + 1 from audit)
    begin select raise(abort, 'the audit log has no gaps'); end`,
  `create trigger audit_head_stays before delete on audit_head
    begin select raise(abort, 'the audit log keeps its head'); end`,
  `create trigger audit_head_grows before update on audit_head when new.seq <= old.seq
    begin select raise(abort, 'the audit log only grows'); end`,
];

const postgresql = [
  `create function audit_refuse() returns trigger language plpgsql as $$
    begin raise exception 'the audit log is append-only'; end $$`,
  `create function audit_follow() returns trigger language plpgsql as $$
    begin
      if new.seq <> (select coalesce(max(seq), 0) + 1 from audit) then
        raise exception 'the audit log has no gaps';
      end if;
      return new;
    end $$`,
  `create function audit_head_grow() returns trigger language plpgsql as $$
    begin
      if new.seq <= old.seq then raise exception 'the audit log only grows'; end if;
      return new;
    end $$`,
  `create trigger audit_is_not_changed before update or delete on audit
    for each row execute function audit_refuse()`,
  `create trigger audit_is_not_emptied before truncate on audit
    for each statement execute function audit_refuse()`,
  `create trigger audit_grows_by_one before insert on audit
    for each row execute function audit_follow()`,
  `create trigger audit_head_stays before delete on audit_head
    for each row execute function audit_refuse()`,
  `create trigger audit_head_is_not_emptied before truncate on audit_head
    for each statement execute function audit_refuse()`,
  `create trigger audit_head_grows before update on audit_head
    for each row execute function audit_head_grow()`,
];
