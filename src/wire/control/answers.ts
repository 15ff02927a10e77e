import type { Resources } from "../../core/spec.ts";

/** An error, as every client of the control plane decides by it. */
export interface WireError {
  /** The HTTP status. */
  readonly code: number;
  readonly message: string;
  /** One of ours, from a server of ours. */
  readonly error_code?: string;
  /** What is wrong, as the request spells it. */
  readonly field?: string;
  readonly mend?: string;
}

/** What a client needs to use a sandbox. */
export interface WireSandbox {
  readonly sandboxID: string;
  readonly templateID: string;
  readonly alias: string;
  readonly clientID: string;
  readonly envdVersion: string;
  readonly envdAccessToken?: string;
  readonly trafficAccessToken: string | null;
  readonly domain: string | null;
}

/** What came of one copy of a sandbox. */
export type WireForkResult = { readonly sandbox: WireSandbox } | { readonly error: WireError };

export interface WireSnapshot {
  /** Usable as a sandbox's `templateID`. */
  readonly snapshotID: string;
  readonly names: readonly string[];
  /** Ours: whether its processes are in it, or its files alone. */
  readonly kept: "memory" | "files";
}

/** A snapshot as our own calls tell it. */
export interface WireOwnSnapshot {
  readonly snapshotID: string;
  /** Its first name, else its id: usable as a sandbox's `templateID`, as the id is. */
  readonly name: string;
  /** The template, or the snapshot's id, that its sandbox was made from. */
  readonly template: string;
  readonly driver: string;
  readonly kept: "memory" | "files";
  readonly digest: string;
  readonly sizeBytes: number;
  readonly createdAt: string;
}

/** A sandbox in a list. */
export interface WireListedSandbox {
  readonly sandboxID: string;
  readonly templateID: string;
  readonly alias: string;
  readonly clientID: string;
  /** RFC 3339, as `endAt`. */
  readonly startedAt: string;
  readonly endAt: string;
  readonly state: "running" | "paused";
  /** A whole number: a share of a core counts as one. */
  readonly cpuCount: number;
  readonly memoryMB: number;
  readonly diskSizeMB: number;
  readonly envdVersion: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly volumeMounts: readonly never[];
  /** Ours. */
  readonly driver: string;
}

export interface WireSandboxDetail extends WireListedSandbox {
  readonly domain: string | null;
  readonly envdAccessToken?: string;
  /** Whether anything leaves the sandbox. */
  readonly allowInternetAccess: boolean;
  readonly network: Readonly<Record<string, unknown>>;
  readonly lifecycle: { readonly onTimeout: "kill" | "pause"; readonly autoResume: boolean };
}

/** A sandbox as our own calls tell it, also once it has ended. */
export interface WireOwnSandbox {
  readonly sandboxID: string;
  readonly templateID: string;
  /** The name of the template, or of the snapshot where it has one. */
  readonly alias: string;
  readonly driver: string;
  readonly state: "running" | "paused" | "ended";
  /** `null` while it has not ended. */
  readonly endReason: string | null;
  readonly startedAt: string;
  readonly endAt: string;
  /** Milliseconds; 0: never. */
  readonly idleTimeoutMs: number;
  /** How long it lives unless its owner holds it, while it runs. Milliseconds; `null`: nobody must. */
  readonly leaseMs: number | null;
  readonly resources: Resources;
  readonly metadata: Readonly<Record<string, string>>;
  readonly envdVersion: string;
  readonly envdAccessToken?: string;
  readonly trafficAccessToken: string | null;
  readonly domain: string | null;
}

export interface WireMetric {
  readonly timestamp: string;
  readonly timestampUnix: number;
  readonly cpuCount: number;
  readonly cpuUsedPct: number;
  /** Bytes, as all below. */
  readonly memUsed: number;
  readonly memTotal: number;
  readonly memCache: number;
  readonly diskUsed: number;
  readonly diskTotal: number;
}

export interface WireLogEntry {
  readonly timestamp: string;
  readonly level: "debug" | "info" | "warn" | "error";
  readonly message: string;
  readonly fields: Readonly<Record<string, string>>;
}

export interface WireTemplate {
  readonly templateID: string;
  readonly buildID: string;
  readonly cpuCount: number;
  readonly memoryMB: number;
  readonly diskSizeMB: number;
  readonly public: boolean;
  readonly aliases: readonly string[];
  readonly names: readonly string[];
  readonly createdAt: string;
  readonly updatedAt: string;
  readonly lastSpawnedAt: null;
  readonly spawnCount: number;
  readonly buildCount: number;
  readonly envdVersion: string;
  readonly buildStatus: "ready";
}
