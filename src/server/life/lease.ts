import { SandboxError } from "../../core/errors.ts";
import type { Kept } from "../../core/kept.ts";
import type { SandboxRecord } from "../../store/sandbox-record.ts";
import type { Tenant } from "../../store/tenant.ts";
import { type LiveSandbox, watchEnd } from "./live.ts";
import { type LifeParts, noSandbox } from "./parts.ts";
import { pauseNow, powerOver, resumeNow, settle } from "./power.ts";
import { lifetimeOf } from "./wanted.ts";

/** A tenant's sandbox that is here: its row and its machine. */
export interface Present {
  readonly record: SandboxRecord;
  readonly sandbox: LiveSandbox;
}

/** Throws `not-found`, also for another tenant's, and for one that has ended or is about to. */
export async function presentOf(
  { store, live }: LifeParts,
  id: string,
  tenantId: string,
): Promise<Present> {
  const record = await store.sandboxes.get(id, tenantId);
  const sandbox = live.get(id);
  if (hasEnded(record) || sandbox === undefined || sandbox.isEnding) throw noSandbox(id);
  return { record, sandbox };
}

/** A machine whose lifetime is over ends a moment before its row says so. */
function hasEnded(record: SandboxRecord): boolean {
  return record.state === "ended" || (isOver(record) && record.onTimeout === "kill");
}

function isOver({ state, endAt }: SandboxRecord): boolean {
  return state === "running" && endAt <= new Date().toISOString();
}

/** The row of a sandbox in its turn, when it runs or is paused, and nothing between: what is due is done first. */
export async function currentOf(parts: LifeParts, sandbox: LiveSandbox): Promise<SandboxRecord> {
  const record = await parts.store.sandboxes.get(sandbox.id);
  if (hasEnded(record)) throw noSandbox(sandbox.id);
  if (isOver(record)) {
    await pauseNow(parts, sandbox, { record, kept: record.pauseKeeps });
    return parts.store.sandboxes.get(sandbox.id);
  }
  if (record.state === "running" || record.state === "paused") return record;
  return settle(parts, sandbox);
}

interface LeaseRequest {
  /** From now. */
  readonly seconds: number;
  readonly tenant: Tenant;
}

/** Lets it live at least so long from now: what was agreed before is never shortened. Throws `conflict` for a paused one. */
export async function extend(
  parts: LifeParts,
  id: string,
  { seconds, tenant }: LeaseRequest,
): Promise<SandboxRecord> {
  const lifetimeMs = lifetimeOf(seconds, tenant.limits);
  const { sandbox } = await presentOf(parts, id, tenant.id);
  return sandbox.inTurn(async () => {
    const record = runningOnly(await currentOf(parts, sandbox));
    return extendNow(parts, sandbox, { record, lifetimeMs });
  });
}

interface Extension {
  readonly record: SandboxRecord;
  readonly lifetimeMs: number;
}

async function extendNow(
  parts: LifeParts,
  sandbox: LiveSandbox,
  { record, lifetimeMs }: Extension,
): Promise<SandboxRecord> {
  const endAt = new Date(Date.now() + lifetimeMs).toISOString();
  return record.endAt >= endAt ? record : endThen(parts, sandbox, { endAt, lifetimeMs });
}

async function endThen(
  { store }: LifeParts,
  sandbox: LiveSandbox,
  { endAt, lifetimeMs }: { readonly endAt: string; readonly lifetimeMs: number },
): Promise<SandboxRecord> {
  await sandbox.machine.setLifetime(lifetimeMs);
  const record = await store.sandboxes.setEndAt(sandbox.id, endAt, { lifetimeMs });
  watchEnd(sandbox, record);
  return record;
}

/** Throws `conflict` for one that is paused. */
export function runningOnly(record: SandboxRecord): SandboxRecord {
  if (record.state === "running") return record;
  throw new SandboxError("conflict", `sandbox ${record.id} is paused`, {
    field: "state",
    mend: "connect to it first",
  });
}

export interface ConnectRequest extends LeaseRequest {
  /** Whether a paused one starts anew from its files. */
  readonly anew: boolean;
}

export interface Connected {
  readonly record: SandboxRecord;
  /** Whether it was paused. */
  readonly wasResumed: boolean;
}

/** Lets it live at least so long from now, and resumes it first where it is paused. Of many at once one resumes, the others wait for it. */
export async function connect(
  parts: LifeParts,
  id: string,
  { seconds, tenant, anew }: ConnectRequest,
): Promise<Connected> {
  const lifetimeMs = lifetimeOf(seconds, tenant.limits);
  const { sandbox } = await presentOf(parts, id, tenant.id);
  return sandbox.inTurn(async () => {
    const record = await currentOf(parts, sandbox);
    if (record.state === "running")
      return {
        record: await extendNow(parts, sandbox, { record, lifetimeMs }),
        wasResumed: false,
      };
    return {
      record: await resumeNow(parts, sandbox, { record, lifetimeMs, anew }),
      wasResumed: true,
    };
  });
}

/** Ends it, or pauses it where it was made so, that long from now, whatever was agreed before; 0: at once. */
export async function setLifetime(
  parts: LifeParts,
  id: string,
  { seconds, tenant }: LeaseRequest,
): Promise<void> {
  const lifetimeMs = lifetimeOf(seconds, tenant.limits);
  const { sandbox } = await presentOf(parts, id, tenant.id);
  await sandbox.inTurn(async () => {
    const record = runningOnly(await currentOf(parts, sandbox));
    if (lifetimeMs > 0) {
      const endAt = new Date(Date.now() + lifetimeMs).toISOString();
      await endThen(parts, sandbox, { endAt, lifetimeMs });
    } else await expireNow(parts, sandbox, { record, why: "lifetime" });
  });
}

interface Expiry {
  readonly record: SandboxRecord;
  readonly why: "lifetime" | "idle";
}

async function expireNow(
  parts: LifeParts,
  sandbox: LiveSandbox,
  { record, why }: Expiry,
): Promise<void> {
  if (record.onTimeout === "kill") return sandbox.end(why);
  await pauseNow(parts, sandbox, { record, kept: record.pauseKeeps });
}

const retryMs = 2000;

/** Lets a paused one go on, for so long from now. Throws `conflict` for one that runs. */
export async function resume(
  parts: LifeParts,
  id: string,
  { seconds, tenant, anew }: ConnectRequest,
): Promise<SandboxRecord> {
  const lifetimeMs = lifetimeOf(seconds, tenant.limits);
  const { sandbox } = await presentOf(parts, id, tenant.id);
  return sandbox.inTurn(async () => {
    const record = await currentOf(parts, sandbox);
    if (record.state === "paused") return resumeNow(parts, sandbox, { record, lifetimeMs, anew });
    throw new SandboxError("conflict", `sandbox ${id} is not paused`, {
      field: "state",
      mend: "use it as it is",
    });
  });
}

/** Does what its time's end does. What fails is tried again: until then it is neither lost nor used. Never rejects. */
export async function expire(
  parts: LifeParts,
  sandbox: LiveSandbox,
  why: Expiry["why"],
): Promise<void> {
  try {
    await sandbox.inTurn(async () => {
      const record = await currentOf(parts, sandbox);
      if (record.state !== "running") return;
      if (why === "idle") await expireNow(parts, sandbox, { record, why });
      else watchEnd(sandbox, record);
    });
  } catch (cause) {
    const { code, message } = SandboxError.from(cause);
    if (code === "not-found") return;
    parts.log("error", "a sandbox whose time is over could not be paused or ended yet", {
      sandboxId: sandbox.id,
      error: message,
    });
    if (sandbox.isEnding) return;
    if (why === "idle") sandbox.clock.start(retryMs);
    else sandbox.alarm.set(Date.now() + retryMs);
  }
}

/** Stops it and keeps it. Throws `conflict` for one that is paused, `unsupported` for what cannot be kept. */
export async function pause(
  parts: LifeParts,
  id: string,
  { tenantId, kept }: { readonly tenantId: string; readonly kept: Kept },
): Promise<void> {
  const { sandbox, record: before } = await presentOf(parts, id, tenantId);
  powerOver(sandbox, before.driver, kept);
  await sandbox.inTurn(async () => {
    const record = await currentOf(parts, sandbox);
    if (record.state === "paused")
      throw new SandboxError("conflict", `sandbox ${id} is paused already`, {
        field: "state",
        mend: "connect to it to have it go on",
      });
    await pauseNow(parts, sandbox, { record, kept });
  });
}

/** Ends it, whatever else is under way, and resolves when nothing of it is left. Throws `not-found`. */
export async function killSandbox(parts: LifeParts, id: string, tenantId: string): Promise<void> {
  const { sandbox } = await presentOf(parts, id, tenantId);
  await sandbox.end("killed");
}
