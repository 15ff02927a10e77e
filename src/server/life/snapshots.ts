import type { SnapshotInfo } from "../../core/driver.ts";
import { SandboxError } from "../../core/errors.ts";
import type { Page } from "../../store/paging.ts";
import type { SandboxRecord } from "../../store/sandbox-record.ts";
import type { SnapshotListOptions, SnapshotRecord } from "../../store/snapshot-record.ts";
import type { Tenant } from "../../store/tenant.ts";
import { currentOf, presentOf, runningOnly } from "./lease.ts";
import type { LiveSandbox } from "./live.ts";
import type { LifeParts } from "./parts.ts";
import {
  driverNameOf,
  idAskedFor,
  nameAskedFor,
  nameToTake,
  newSnapshotId,
  snapshotIdIn,
} from "./snapshot-name.ts";

export interface NewSnapshot {
  readonly tenant: Tenant;
  readonly name: string | undefined;
  /** Whether a name that another snapshot has is refused; else it is taken over. */
  readonly isNew: boolean;
}

/** Makes a template of a sandbox that runs, which goes on. Throws `conflict` for a paused one, `unsupported`, `already-exists`. */
export async function takeSnapshot(
  parts: LifeParts,
  sandboxId: string,
  { tenant, name, isNew }: NewSnapshot,
): Promise<SnapshotRecord> {
  const names = name === undefined ? [] : [await freeName(parts, name, { tenant, isNew })];
  const taken = await take(parts, sandboxId, tenant);
  const { id, info, record, release } = taken;
  try {
    const row = {
      id,
      tenantId: tenant.id,
      sandboxId,
      host: parts.host,
      driver: record.driver,
      template: record.template,
      names,
      digest: info.digest,
      kept: info.kept,
      sizeBytes: info.sizeBytes,
      resources: record.resources,
      createdAt: info.createdAt.toISOString(),
    };
    return await parts.store.snapshots.create(row, { mayTakeOver: !isNew });
  } catch (cause) {
    await dropFiles(parts, record.driver, id);
    throw cause;
  } finally {
    release();
  }
}

/** A name that no template of the host has: that would be used in its place. */
async function freeName(
  parts: LifeParts,
  asked: string,
  { tenant, isNew }: Pick<NewSnapshot, "tenant" | "isNew">,
): Promise<string> {
  const name = nameToTake(asked, tenant);
  const isTemplates = (await parts.catalog.find(idAskedFor(name))) !== undefined;
  const isTaken =
    isTemplates || (isNew && (await findSnapshot(parts, asked, tenant)) !== undefined);
  if (!isTaken) return name;
  const whose = isTemplates ? "a template's" : "a snapshot's";
  throw new SandboxError("already-exists", `name: ${JSON.stringify(asked)} is ${whose}`, {
    field: "name",
    mend: "take another name",
  });
}

/** A snapshot that its driver has, and the store does not know yet. */
export interface Taken {
  readonly id: string;
  readonly info: SnapshotInfo;
  /** Of the sandbox. */
  readonly record: SandboxRecord;
  /** To be called once it is known to the store, or is removed: until then nobody takes it for a stray. */
  readonly release: () => void;
}

export async function take(parts: LifeParts, sandboxId: string, tenant: Tenant): Promise<Taken> {
  const { sandbox, record: before } = await presentOf(parts, sandboxId, tenant.id);
  requireSnapshots(sandbox, before);
  using _ = parts.disk.reserve(before.resources.diskMiB, { isPromised: true });
  const id = newSnapshotId();
  const release = (): void => void parts.taking.delete(id);
  parts.taking.add(id);
  try {
    return await sandbox.inTurn(async () => {
      const record = runningOnly(await currentOf(parts, sandbox));
      const info = await requireSnapshots(sandbox, record).take(driverNameOf(id));
      return { id, info, record, release };
    });
  } catch (cause) {
    release();
    throw cause;
  }
}

function requireSnapshots(
  { machine: { snapshots } }: LiveSandbox,
  { driver }: SandboxRecord,
): NonNullable<typeof snapshots> {
  if (snapshots !== undefined) return snapshots;
  throw new SandboxError("unsupported", `the driver ${driver} has no snapshot`, {
    field: "snapshot",
    mend: "GET /cofferdam/v1/drivers says which drivers have",
  });
}

/** What the driver has of a snapshot goes. What fails is tried again at the next look round. */
export async function dropFiles(
  { drivers, log }: LifeParts,
  driver: string,
  id: string,
): Promise<void> {
  try {
    await drivers.get(driver)?.snapshots?.remove(driverNameOf(id));
  } catch (cause) {
    log("error", "a snapshot is removed later", {
      snapshotId: id,
      error: SandboxError.from(cause).message,
    });
  }
}

/** The tenant's snapshot on this host by its id or a name; `undefined`: there is none. */
export async function findSnapshot(
  { store, host }: LifeParts,
  asked: string,
  tenant: Tenant,
): Promise<SnapshotRecord | undefined> {
  for (const text of [idAskedFor(asked), nameAskedFor(asked, tenant)]) {
    const found = text === undefined ? undefined : await known(store, text, tenant.id);
    if (found?.host === host) return found;
  }
  return undefined;
}

async function known(
  { snapshots }: LifeParts["store"],
  idOrName: string,
  tenantId: string,
): Promise<SnapshotRecord | undefined> {
  try {
    return await snapshots.find(idOrName, tenantId);
  } catch (cause) {
    if (SandboxError.from(cause).code !== "not-found") throw cause;
    return undefined;
  }
}

export interface SnapshotQuery extends Pick<SnapshotListOptions, "sandboxId" | "limit" | "token"> {
  readonly tenant: Tenant;
  /** An id or a name. */
  readonly name?: string;
}

/** The tenant's snapshots on this host, newest first. */
export async function listSnapshots(
  parts: LifeParts,
  { tenant, name, ...page }: SnapshotQuery,
): Promise<Page<SnapshotRecord>> {
  const own = { tenantId: tenant.id, host: parts.host };
  if (name === undefined) return parts.store.snapshots.list({ ...own, ...page });
  const found = await findSnapshot(parts, name, tenant);
  const isMeant = found !== undefined && (page.sandboxId ?? found.sandboxId) === found.sandboxId;
  return { records: isMeant ? [found] : [], nextToken: undefined };
}

/** `false`: the tenant has none of this id or name. Sandboxes made from it live on. */
export async function removeSnapshot(
  parts: LifeParts,
  asked: string,
  tenant: Tenant,
): Promise<boolean> {
  const found = await findSnapshot(parts, asked, tenant);
  if (found === undefined) return false;
  const removed = await parts.store.snapshots.remove(found.id, tenant.id);
  if (removed) await dropFiles(parts, found.driver, found.id);
  return removed;
}

/** Removes what a server that died left with its drivers: snapshots that no row knows. */
export async function sweepSnapshots(parts: LifeParts): Promise<void> {
  for (const { name, snapshots } of parts.drivers.values()) {
    if (snapshots === undefined) continue;
    const ids: string[] = [];
    for await (const info of snapshots.list()) {
      const id = snapshotIdIn(info.name);
      if (id !== undefined && !parts.taking.has(id)) ids.push(id);
    }
    const kept = await parts.store.snapshots.existing(ids);
    for (const id of ids) if (!kept.has(id)) await dropFiles(parts, name, id);
  }
}
