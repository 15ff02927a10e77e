import type { AuditLog } from "../../audit/audit-log.ts";
import { SandboxError } from "../../core/errors.ts";
import type { Driver } from "../../core/driver.ts";
import type { Authenticated } from "../../store/api-key.ts";
import type { MetricsSample } from "../../store/metrics-samples.ts";
import type { SandboxRecord } from "../../store/sandbox-record.ts";
import type { Store } from "../../store/store.ts";
import type { Tenant } from "../../store/tenant.ts";
import type { NetworkUpdate } from "../../wire/control/new-sandbox.ts";
import type { Find, SandboxToken } from "../data/target.ts";
import type { Log } from "../log.ts";
import { createSandbox } from "./create.ts";
import { extend, killSandbox, runningOf, setLifetime } from "./lease.ts";
import { liveSandboxes } from "./live.ts";
import { setNetwork } from "./network-update.ts";
import type { LifeParts } from "./parts.ts";
import { type Found, lookRound } from "./recovery.ts";
import { sampleAll, sampleOf } from "./sampling.ts";
import type { TemplateCatalog } from "./template-catalog.ts";
import type { Wish } from "./wanted.ts";

export interface LifeOptions {
  readonly store: Store;
  /** Stands in the rows of sandboxes whose machines are here. */
  readonly host: string;
  readonly audit: AuditLog;
  /** By name. */
  readonly drivers: ReadonlyMap<string, Driver>;
  readonly defaultDriver: string;
  readonly catalog: TemplateCatalog;
  readonly domain: string;
  readonly log: Log;
  /** How often what sandboxes use is sampled. Milliseconds. */
  readonly samplingMs: number;
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
  create(
    wish: Wish,
    asked: { readonly by: Authenticated; readonly signal: AbortSignal },
  ): Promise<SandboxRecord>;
  /** Lets it live at least so long from now. */
  extend(id: string, request: LeaseRequest): Promise<SandboxRecord>;
  /** Ends it so long from now; 0: at once. */
  setLifetime(id: string, request: LeaseRequest): Promise<void>;
  kill(id: string, tenantId: string): Promise<void>;
  /** The row of a sandbox that runs, and its driver. */
  running(
    id: string,
    tenantId: string,
  ): Promise<{ readonly record: SandboxRecord; readonly driver: Driver }>;
  /** What it uses now. */
  sample(id: string, tenantId: string): Promise<MetricsSample>;
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
/** How long an ended sandbox is remembered. Milliseconds. */
const keepEndedMs = 7 * 86_400_000;

export function life(options: LifeOptions): Life {
  const live = liveSandboxes(options);
  const parts: LifeParts = { ...options, live, making: new Set() };
  const { drivers, defaultDriver, log } = options;
  const clocks = [
    every(lookRoundMs, () => tidy(parts), log),
    every(options.samplingMs, () => sampleAll(parts), log),
  ];
  return {
    drivers,
    defaultDriver,
    create: (wish, asked) => createSandbox(parts, wish, asked),
    extend: (id, request) => extend(parts, id, request),
    setLifetime: (id, request) => setLifetime(parts, id, request),
    kill: (id, tenantId) => killSandbox(parts, id, tenantId),
    async running(id, tenantId) {
      const { record } = await runningOf(parts, id, tenantId);
      return { record, driver: driverOf(parts, record) };
    },
    sample: async (id, tenantId) => sampleOf((await runningOf(parts, id, tenantId)).sandbox),
    setNetwork: async (id, tenantId, update) => {
      const { record } = await runningOf(parts, id, tenantId);
      await setNetwork(parts, { record, driver: driverOf(parts, record) }, update);
    },
    find: (id) => Promise.resolve(live.get(id)?.target),
    *tokens() {
      for (const { id, target } of live.all())
        if (target?.accessToken !== undefined) yield { id, accessToken: target.accessToken };
    },
    recover: () => lookRound(parts),
    async endAll() {
      await Promise.allSettled([...live.all()].map((sandbox) => sandbox.end("killed")));
    },
    close() {
      for (const clock of clocks) clearInterval(clock);
      live.release();
    },
  };
}

function driverOf({ drivers }: LifeParts, { driver: name, id }: SandboxRecord): Driver {
  const driver = drivers.get(name);
  if (driver !== undefined) return driver;
  throw new SandboxError("unavailable", `the driver of sandbox ${id} is not here`);
}

async function tidy(parts: LifeParts): Promise<void> {
  await lookRound(parts);
  const before = new Date(Date.now() - keepEndedMs).toISOString();
  await parts.store.sandboxes.forgetEndedBefore(before);
  for (const driver of parts.drivers.values()) await driver.sweep();
}

/** Runs the work again and again, never twice at once; what fails is logged. */
function every(milliseconds: number, work: () => Promise<void>, log: Log): NodeJS.Timeout {
  let isBusy = false;
  const once = async (): Promise<void> => {
    isBusy = true;
    try {
      await work();
    } catch (cause) {
      log("error", "a regular task failed", { error: SandboxError.from(cause).message });
    }
    isBusy = false;
  };
  return setInterval(() => {
    if (!isBusy) void once();
  }, milliseconds).unref();
}
