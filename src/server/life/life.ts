import { availableParallelism } from "node:os";
import type { AuditLog } from "../../audit/audit-log.ts";
import { atMost, endsAtOnce } from "../../core/at-most.ts";
import { SandboxError } from "../../core/errors.ts";
import type { Driver } from "../../core/driver.ts";
import type { MetricsSample } from "../../store/metrics-samples.ts";
import type { Page } from "../../store/paging.ts";
import type { SnapshotRecord } from "../../store/snapshot-record.ts";
import type { SandboxRecord } from "../../store/sandbox-record.ts";
import type { Store } from "../../store/store.ts";
import type { Tenant } from "../../store/tenant.ts";
import type { HoldRequest, NetworkUpdate } from "../../wire/control/new-sandbox.ts";
import type { Kept } from "../../core/kept.ts";
import type { SandboxToken } from "../data/signed-url.ts";
import type { Find } from "../data/target.ts";
import type { Log } from "../log.ts";
import { createSandbox } from "./create.ts";
import { type ForkRequest, type Forked, forkSandbox } from "./fork.ts";
import type { Asked } from "./make.ts";
import { diskRoom, hostDisk } from "./host-disk.ts";
import { hostMemory } from "./host-memory.ts";
import {
  type ConnectRequest,
  type Connected,
  connect,
  expire,
  extend,
  killSandbox,
  pause,
  presentOf,
  resume,
  setLifetime,
} from "./lease.ts";
import { type LiveSandbox, type LiveSandboxes, liveSandboxes } from "./live.ts";
import { setNetwork } from "./network-update.ts";
import { ownerLeases } from "./owner-leases.ts";
import type { LifeParts } from "./parts.ts";
import { type Found, lookRound } from "./recovery.ts";
import { sampleOf, sampler } from "./sampling.ts";
import type { TemplateCatalog } from "./template-catalog.ts";
import { turnstile } from "./turnstile.ts";
import {
  type NewSnapshot,
  type SnapshotQuery,
  listSnapshots,
  removeSnapshot,
  sweepSnapshots,
  takeSnapshot,
} from "./snapshots.ts";
import { door } from "./wake.ts";
import type { Wish } from "./wanted.ts";

export interface LifeOptions {
  readonly store: Store;
  /** Stands in the rows of sandboxes whose machines are here. */
  readonly host: string;
  /** Where drivers keep machines. */
  readonly stateDir: string;
  readonly audit: AuditLog;
  /** By name. */
  readonly drivers: ReadonlyMap<string, Driver>;
  readonly defaultDriver: string;
  readonly catalog: TemplateCatalog;
  readonly domain: string;
  readonly log: Log;
  /** How often what sandboxes use is sampled. Milliseconds. */
  readonly samplingMs: number;
  /** How many times the host's memory may be promised to sandboxes in all; `undefined`: without a limit. */
  readonly memoryOvercommit: number | undefined;
  /** The same of the disk that holds machines. */
  readonly diskOvercommit: number | undefined;
}

/** What a change is asked for with: so many seconds from now, by whom. */
interface LeaseRequest {
  readonly seconds: number;
  readonly tenant: Tenant;
}

/** The keeper of sandboxes. Every method that takes a tenant throws `not-found` for a sandbox of another. */
export interface Life {
  readonly drivers: ReadonlyMap<string, Driver>;
  readonly defaultDriver: string;
  /** Stands in the rows of sandboxes that are here. */
  readonly host: string;
  create(wish: Wish, asked: Asked): Promise<SandboxRecord>;
  /** Makes copies of one that runs, each of which comes to be or fails on its own. Throws `conflict`, `unsupported`. */
  fork(id: string, request: ForkRequest): Promise<readonly Forked[]>;
  /** Makes a template of one that runs. Throws `conflict`, `unsupported`, `already-exists` for a name that is taken. */
  snapshot(id: string, request: NewSnapshot): Promise<SnapshotRecord>;
  /** The tenant's snapshots on this host, newest first. */
  snapshots(query: SnapshotQuery): Promise<Page<SnapshotRecord>>;
  /** `false`: the tenant has none of this id or name. */
  removeSnapshot(idOrName: string, tenant: Tenant): Promise<boolean>;
  /** Lets it live at least so long from now, and resumes it first where it is paused. */
  connect(id: string, request: ConnectRequest): Promise<Connected>;
  /** Lets a paused one go on, for so long from now. Throws `conflict` for one that runs. */
  resume(id: string, request: ConnectRequest): Promise<SandboxRecord>;
  /** Stops it and keeps it. Throws `conflict` for one that is paused, `unsupported`. */
  pause(id: string, request: { readonly tenantId: string; readonly kept: Kept }): Promise<void>;
  /** Lets one that runs live at least so long from now. */
  extend(id: string, request: LeaseRequest): Promise<SandboxRecord>;
  /** Ends it, or pauses it where it was made so, that long from now; 0: at once. */
  setLifetime(id: string, request: LeaseRequest): Promise<void>;
  kill(id: string, tenantId: string): Promise<void>;
  /** The row of a sandbox that has not ended, and its driver. */
  present(
    id: string,
    tenantId: string,
  ): Promise<{ readonly record: SandboxRecord; readonly driver: Driver }>;
  /** How long it lives unless its owner holds it. Milliseconds; `undefined`: it has no owner, or has ended. */
  leaseOf(id: string): number | undefined;
  /** What it uses now; `undefined`: it is paused. */
  sample(id: string, tenantId: string): Promise<MetricsSample | undefined>;
  /**
   * Says that it is wanted, and waits until it has ended, but no longer than told. Resolves with its row, also of one that
   * has ended.
   */
  hold(
    id: string,
    tenantId: string,
    request: HoldRequest & { readonly signal: AbortSignal },
  ): Promise<SandboxRecord>;
  setNetwork(id: string, tenantId: string, update: NetworkUpdate): Promise<void>;
  readonly find: Find;
  readonly tokens: () => Iterable<SandboxToken>;
  /** Takes over what an earlier server left. */
  recover(): Promise<Found>;
  /** Ends every sandbox. */
  endAll(): Promise<void>;
  /** Stops looking after them; they live on. */
  close(): void;
}

const lookRoundMs = 60_000;
/** After a start, until what a dead server had only begun can be told from what still begins. Milliseconds. */
const orphanedMs = 5000;
/** How long an ended sandbox is remembered. Milliseconds. */
const keepEndedMs = 7 * 86_400_000;

export function life(options: LifeOptions): Life {
  const parts = partsOf(options);
  const { live, leases, log, drivers, defaultDriver, host } = parts;
  const sampleAll = sampler(parts);
  const clocks = [
    every(lookRoundMs, () => tidy(parts), log),
    every(options.samplingMs, sampleAll, log),
    every(options.samplingMs, () => noteUses(parts), log),
  ];
  return {
    drivers,
    defaultDriver,
    host,
    create: (wish, asked) => createSandbox(parts, wish, asked),
    fork: (id, request) => forkSandbox(parts, id, request),
    snapshot: (id, request) => takeSnapshot(parts, id, request),
    snapshots: (query) => listSnapshots(parts, query),
    removeSnapshot: (idOrName, tenant) => removeSnapshot(parts, idOrName, tenant),
    connect: (id, request) => connect(parts, id, request),
    resume: (id, request) => resume(parts, id, request),
    pause: (id, request) => pause(parts, id, request),
    extend: (id, request) => extend(parts, id, request),
    setLifetime: (id, request) => setLifetime(parts, id, request),
    kill: (id, tenantId) => killSandbox(parts, id, tenantId),
    async present(id, tenantId) {
      const { record } = await presentOf(parts, id, tenantId);
      return { record, driver: driverOf(parts, record) };
    },
    leaseOf: (id) => live.get(id)?.leaseMs,
    async sample(id, tenantId) {
      const { sandbox } = await presentOf(parts, id, tenantId);
      return sandbox.gate.isOpen ? sampleOf(sandbox) : undefined;
    },
    setNetwork: async (id, tenantId, update) => {
      const { record } = await presentOf(parts, id, tenantId);
      await setNetwork(parts, { record, driver: driverOf(parts, record) }, update);
    },
    find: door(parts),
    *tokens() {
      for (const { id, accessToken, gate, autoResume } of live.all())
        if (accessToken !== undefined && (gate.isOpen || autoResume)) yield { id, accessToken };
    },
    async recover() {
      const found = await lookRound(parts);
      clocks.push(once(orphanedMs, () => tidy(parts), log));
      return found;
    },
    async endAll() {
      const all = [...live.all()];
      await Promise.allSettled(all.map((sandbox) => parts.ends(() => sandbox.end("killed"))));
      await sweep(parts);
    },
    hold: (id, tenantId, request) => hold(parts, { id, tenantId }, request),
    close() {
      leases.stop();
      for (const clock of clocks) clearInterval(clock);
      live.release();
    },
  };
}

/** More are told to come again: a client gives up by then. */
const mostWaiting = 500;

function partsOf(options: LifeOptions): LifeParts {
  const { store, log, memoryOvercommit, diskOvercommit } = options;
  const live = liveSandboxes({
    store,
    log,
    expire: (sandbox, why) => expire(parts, sandbox, why),
    sweep: (driver) => sweepLost(parts, driver),
  });
  const memory = hostMemory({ promisedMiB: () => promisedMiB(live), overcommit: memoryOvercommit });
  const disk = hostDisk({
    promisedMiB: () => promisedDiskMiB(live),
    overcommit: diskOvercommit,
    room: () => diskRoom(options.stateDir),
  });
  const entrance = turnstile({ places: 4 * availableParallelism(), waiting: mostWaiting });
  const ends = atMost(endsAtOnce(availableParallelism()));
  const leases = ownerLeases((id) => void ends(() => endOwnerless(live.get(id), log)));
  const sets = { making: new Set<string>(), taking: new Set<string>() };
  const parts: LifeParts = {
    ...options,
    live,
    leases,
    memory,
    disk,
    ends,
    turnstile: entrance,
    ...sets,
  };
  return parts;
}

/** Ends what nobody has held; what is paused has no owner. Never rejects. */
async function endOwnerless(sandbox: LiveSandbox | undefined, log: Log): Promise<void> {
  if (sandbox?.gate.isOpen !== true) return;
  try {
    await sandbox.end("owner-gone");
  } catch (cause) {
    const error = SandboxError.from(cause).message;
    log("error", "a sandbox without its owner could not be ended", {
      sandboxId: sandbox.id,
      error,
    });
  }
}

/** What all sandboxes that run, or are paused with their memory, may come to use. */
function promisedMiB(live: LiveSandboxes): number {
  let sumMiB = 0;
  for (const { holdsMemory, memoryMiB } of live.all()) if (holdsMemory) sumMiB += memoryMiB;
  return sumMiB;
}

/** What all sandboxes, running and paused, may come to write. */
function promisedDiskMiB(live: LiveSandboxes): number {
  let sumMiB = 0;
  for (const { diskMiB } of live.all()) sumMiB += diskMiB;
  return sumMiB;
}

/** Notes for a later server which sandboxes were used since this was done last, where that is what they live by. */
async function noteUses({ live, store }: LifeParts): Promise<void> {
  const used = [...live.all()].filter(({ clock }) => clock.wasUsed());
  const at = new Date().toISOString();
  await store.sandboxes.setLastUsedAt(
    used.map(({ id }) => id),
    at,
  );
}

function driverOf({ drivers }: LifeParts, { driver: name, id }: SandboxRecord): Driver {
  const driver = drivers.get(name);
  if (driver !== undefined) return driver;
  throw new SandboxError("unavailable", `the driver of sandbox ${id} is not here`, {
    mend: "cofferdam doctor on the server's host says what is missing",
  });
}

async function hold(
  { store, live, leases }: LifeParts,
  { id, tenantId }: { readonly id: string; readonly tenantId: string },
  { leaseMs, waitMs, signal }: HoldRequest & { readonly signal: AbortSignal },
): Promise<SandboxRecord> {
  await store.sandboxes.get(id, tenantId);
  const sandbox = live.get(id);
  if (sandbox !== undefined && leaseMs != null) leases.renew(id, leaseMs);
  if (sandbox !== undefined && waitMs > 0) await within(sandbox.over, waitMs, signal);
  return store.sandboxes.get(id, tenantId);
}

/** Waits for the work, but not for ever. */
async function within(work: Promise<void>, waitMs: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  let timer: NodeJS.Timeout | undefined;
  const enough = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, waitMs);
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
  await Promise.race([work, enough]);
  clearTimeout(timer);
}

async function tidy(parts: LifeParts): Promise<void> {
  await lookRound(parts);
  await sweepSnapshots(parts);
  const before = new Date(Date.now() - keepEndedMs).toISOString();
  await parts.store.sandboxes.forgetEndedBefore(before);
  await parts.store.scrub();
  await sweep(parts);
}

/** Never rejects: the next look round tries again. */
async function sweepLost({ drivers, log }: LifeParts, name: string): Promise<void> {
  try {
    await drivers.get(name)?.sweep();
  } catch (cause) {
    log("error", "what a lost machine left could not be given back yet", {
      error: SandboxError.from(cause).message,
    });
  }
}

/** One driver that cannot, as its engine is not there, keeps no other from it. */
async function sweep(parts: LifeParts): Promise<void> {
  for (const name of parts.drivers.keys()) await sweepLost(parts, name);
}

/** Runs the work once, later; what fails is logged. */
function once(milliseconds: number, work: () => Promise<void>, log: Log): NodeJS.Timeout {
  return setTimeout(() => void attempted(work, log), milliseconds).unref();
}

async function attempted(work: () => Promise<void>, log: Log): Promise<void> {
  try {
    await work();
  } catch (cause) {
    log("error", "a regular task failed", { error: SandboxError.from(cause).message });
  }
}

/** Runs the work again and again, never twice at once; what fails is logged. */
function every(milliseconds: number, work: () => Promise<void>, log: Log): NodeJS.Timeout {
  let isBusy = false;
  const turn = async (): Promise<void> => {
    isBusy = true;
    await attempted(work, log);
    isBusy = false;
  };
  return setInterval(() => {
    if (!isBusy) void turn();
  }, milliseconds).unref();
}
