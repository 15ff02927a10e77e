import { z } from "zod";
import type { MachineMetrics, SnapshotInfo } from "../../core/driver.ts";
import type { Kept } from "../../core/kept.ts";
import type { Resources } from "../../core/spec.ts";

/** What a client needs to use a sandbox that a service has made. */
export interface MadeSandbox {
  readonly id: string;
  readonly envdVersion: string;
  readonly accessToken: string | undefined;
  readonly trafficToken: string | undefined;
  /** Below which the sandbox has host names; may carry a port. */
  readonly domain: string | undefined;
}

/** A sandbox as a service tells it. A number that it does not tell is 0. */
export interface ToldSandbox extends MadeSandbox {
  /** The template's name, or its id where it has none. */
  readonly template: string;
  readonly state: "running" | "paused" | "ended";
  readonly endReason: string | undefined;
  readonly startedAt: Date;
  readonly endAt: Date;
  readonly idleTimeoutMs: number;
  readonly resources: Resources;
  readonly metadata: Readonly<Record<string, string>>;
  /** The driver behind a server of ours; `undefined`: it is not told. */
  readonly driver: string | undefined;
  /** How long it lives unless its owner holds it. Milliseconds; `undefined`: nobody must. */
  readonly leaseMs: number | undefined;
}

/** A driver of a server of ours. */
export interface ToldDriver {
  readonly name: string;
  readonly isolation: string;
  readonly capabilities: readonly string[];
  /** What its pauses can keep, the most first. */
  readonly pauseKeeps: readonly Kept[];
  readonly isDefault: boolean;
  readonly enforcement: readonly ToldEnforcement[];
}

export interface ToldEnforcement {
  readonly option: string;
  readonly value: string;
  readonly by: string;
  readonly where: string;
  readonly note?: string | undefined;
}

/** An error of a service, whatever else it says. */
export interface ToldError {
  readonly message?: string | undefined;
  readonly error_code?: string | undefined;
  readonly field?: string | undefined;
  readonly mend?: string | undefined;
}

const id = z.string().regex(/^i[a-z0-9]{20}$/);
const name = z.string().min(1).max(512);
const time = z.iso.datetime({ offset: true }).transform((text) => new Date(text));
const driver = z.string().regex(/^[a-z0-9-]{1,64}$/);
const amount = z.number().nonnegative();
const metadata = z.record(z.string().max(65_536), z.string().max(65_536));
const kept = z.enum(["memory", "files"]);
const version = z.string().max(64);

/** A secret that may stand in a header; absent, empty and `null` are the same. */
const secret = z
  .string()
  .regex(/^[\u0021-\u007e]{0,4096}$/)
  .nullish()
  .transform((text) => text || undefined);
const domain = z
  .string()
  .regex(/^([a-z0-9.-]{1,253}(:\d{1,5})?)?$/i)
  .nullish()
  .transform((text) => text || undefined);

const access = {
  sandboxID: id,
  envdVersion: version,
  envdAccessToken: secret,
  trafficAccessToken: secret,
  domain,
};
type Access = z.output<z.ZodObject<typeof access>>;

function madeOf(told: Access): MadeSandbox {
  return {
    id: told.sandboxID,
    envdVersion: told.envdVersion,
    accessToken: told.envdAccessToken,
    trafficToken: told.trafficAccessToken,
    domain: told.domain,
  };
}

/** What comes of a creation, or of a resume. Unknown fields are passed over, known ones must be right. */
export const madeSandbox: z.ZodType<MadeSandbox> = z.object(access).transform(madeOf);

/** A sandbox in a list, and the answer to one id. */
export const toldSandbox: z.ZodType<ToldSandbox> = z
  .object({
    ...access,
    templateID: name,
    alias: z.string().max(512).nullish(),
    startedAt: time,
    endAt: time,
    state: z.enum(["running", "paused"]),
    cpuCount: amount,
    memoryMB: amount,
    diskSizeMB: amount.nullish(),
    metadata: metadata.nullish(),
    driver: driver.nullish(),
  })
  .transform((told) => ({
    ...madeOf(told),
    template: told.alias || told.templateID,
    state: told.state,
    endReason: undefined,
    startedAt: told.startedAt,
    endAt: told.endAt,
    idleTimeoutMs: 0,
    resources: {
      cpus: told.cpuCount,
      memoryMiB: told.memoryMB,
      diskMiB: told.diskSizeMB ?? 0,
      pids: 0,
      openFiles: 0,
    },
    metadata: told.metadata ?? {},
    driver: told.driver ?? undefined,
    leaseMs: undefined,
  }));

export const toldSandboxes: z.ZodType<readonly ToldSandbox[]> = z.array(toldSandbox).max(1000);

const resources = z.object({
  cpus: amount,
  memoryMiB: amount,
  diskMiB: amount,
  pids: amount,
  openFiles: amount,
});

/** A sandbox as a server of ours tells it, also once it has ended. */
export const ownSandbox: z.ZodType<ToldSandbox> = z
  .object({
    ...access,
    templateID: name,
    alias: name.nullish(),
    driver,
    leaseMs: amount.nullish(),
    state: z.enum(["running", "paused", "ended"]),
    endReason: z.string().max(4096).nullable(),
    startedAt: time,
    endAt: time,
    idleTimeoutMs: amount,
    resources,
    metadata,
  })
  .transform((told) => ({
    ...madeOf(told),
    template: told.alias ?? told.templateID,
    driver: told.driver,
    leaseMs: told.leaseMs ?? undefined,
    state: told.state,
    endReason: told.endReason ?? undefined,
    startedAt: told.startedAt,
    endAt: told.endAt,
    idleTimeoutMs: told.idleTimeoutMs,
    resources: told.resources,
    metadata: told.metadata,
  }));

/** A snapshot of a server of ours. */
export interface ToldSnapshot extends SnapshotInfo {
  readonly driver: string;
}

export const ownSnapshot: z.ZodType<ToldSnapshot> = z.object({
  name,
  template: name,
  driver,
  kept,
  digest: z.string().regex(/^sha256:[0-9a-f]{64}$/),
  sizeBytes: amount,
  createdAt: time,
});

export const ownSnapshots: z.ZodType<readonly ToldSnapshot[]> = z.array(ownSnapshot).max(1000);

/** Readings, oldest first. */
export const toldMetrics: z.ZodType<readonly MachineMetrics[]> = z
  .array(
    z.object({
      timestamp: time,
      cpuCount: amount,
      cpuUsedPct: amount,
      memUsed: amount,
      memTotal: amount,
      memCache: amount.nullish(),
      diskUsed: amount,
      diskTotal: amount,
    }),
  )
  .max(100_000)
  .transform((readings) =>
    readings.map((each) => ({
      timestamp: each.timestamp,
      cpuCount: each.cpuCount,
      cpuUsedPercent: each.cpuUsedPct,
      memoryUsedBytes: each.memUsed,
      memoryTotalBytes: each.memTotal,
      memoryCacheBytes: each.memCache ?? 0,
      diskUsedBytes: each.diskUsed,
      diskTotalBytes: each.diskTotal,
    })),
  );

/** A reading of a server of ours. */
export const ownMetrics: z.ZodType<MachineMetrics> = z.object({
  timestamp: time,
  cpuCount: amount,
  cpuUsedPercent: amount,
  memoryUsedBytes: amount,
  memoryTotalBytes: amount,
  memoryCacheBytes: amount,
  diskUsedBytes: amount,
  diskTotalBytes: amount,
});

/** By which a server of ours is known. */
export const ownVersion: z.ZodType<{ readonly name: "cofferdam"; readonly version: string }> =
  z.object({ name: z.literal("cofferdam"), version });

export const ownDrivers: z.ZodType<readonly ToldDriver[]> = z
  .array(
    z.object({
      name,
      isolation: z.string().max(32),
      capabilities: z.array(z.string().max(32)).max(32),
      pauseKeeps: z.array(kept).max(2).default([]),
      isDefault: z.boolean(),
      enforcement: z
        .array(
          z.object({
            option: z.string().max(128),
            value: z.string().max(1024),
            by: z.string().max(1024),
            where: z.string().max(32),
            note: z.string().max(1024).optional(),
          }),
        )
        .max(256),
    }),
  )
  .min(1)
  .max(64);

export const toldError: z.ZodType<ToldError> = z.object({
  message: z.string().optional(),
  error_code: z.string().max(64).optional(),
  field: z.string().max(256).optional(),
  mend: z.string().max(4096).optional(),
});
