import type { SandboxRecord } from "../../store/sandbox-record.ts";
import type { Tenant } from "../../store/tenant.ts";
import type { LiveSandbox } from "./live.ts";
import { type LifeParts, noSandbox } from "./parts.ts";
import { lifetimeOf } from "./wanted.ts";

/** A tenant's sandbox that runs: its row and its machine. */
export interface Running {
  readonly record: SandboxRecord;
  readonly sandbox: LiveSandbox;
}

/** Throws `not-found`, also for another tenant's, and for one that has ended or is about to. */
export async function runningOf(
  { store, live }: LifeParts,
  id: string,
  tenantId: string,
): Promise<Running> {
  const record = await store.sandboxes.get(id, tenantId);
  const sandbox = live.get(id);
  if (isOver(record) || sandbox === undefined) throw noSandbox(id);
  return { record, sandbox };
}

/** A machine whose lifetime is over ends a moment before its row says so. */
function isOver({ state, endAt }: SandboxRecord): boolean {
  return state === "ended" || endAt <= new Date().toISOString();
}

/** Lets it live at least so long from now: what was agreed before is never shortened. */
export async function extend(
  parts: LifeParts,
  id: string,
  { seconds, tenant }: { readonly seconds: number; readonly tenant: Tenant },
): Promise<SandboxRecord> {
  const lifetimeMs = lifetimeOf(seconds, tenant.limits);
  const { sandbox } = await runningOf(parts, id, tenant.id);
  return sandbox.inTurn(async () => {
    const record = await parts.store.sandboxes.get(id, tenant.id);
    const endAt = new Date(Date.now() + lifetimeMs).toISOString();
    if (isOver(record)) throw noSandbox(id);
    if (record.endAt >= endAt) return record;
    await sandbox.machine.setLifetime(lifetimeMs);
    return parts.store.sandboxes.setEndAt(id, endAt);
  });
}

/** Ends it so long from now, whatever was agreed before; 0: at once. */
export async function setLifetime(
  parts: LifeParts,
  id: string,
  { seconds, tenant }: { readonly seconds: number; readonly tenant: Tenant },
): Promise<void> {
  const lifetimeMs = lifetimeOf(seconds, tenant.limits);
  const { sandbox } = await runningOf(parts, id, tenant.id);
  await sandbox.inTurn(async () => {
    if (lifetimeMs === 0) return sandbox.end("lifetime");
    const endAt = new Date(Date.now() + lifetimeMs).toISOString();
    await sandbox.machine.setLifetime(lifetimeMs);
    await parts.store.sandboxes.setEndAt(id, endAt);
  });
}

/** Ends it and resolves when nothing of it is left. Throws `not-found`. */
export async function killSandbox(parts: LifeParts, id: string, tenantId: string): Promise<void> {
  const { sandbox } = await runningOf(parts, id, tenantId);
  await sandbox.end("killed");
}
