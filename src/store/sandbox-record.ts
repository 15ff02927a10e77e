import type { Kept } from "../core/kept.ts";
import type { Resources } from "../core/spec.ts";
import type { Page } from "./paging.ts";
import type { SandboxState } from "./state-moves.ts";

/** One sandbox as the server knows it. Holds no secret. Times are RFC 3339 in UTC with milliseconds, and keep their bytes. */
export interface SandboxRecord {
  readonly id: string;
  readonly tenantId: string;
  /** The API key that asked for it; `null`: the server itself. */
  readonly keyId: string | null;
  /** The host that its machine is on; empty: of a time when a store had one. */
  readonly host: string;
  readonly driver: string;
  readonly template: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly resources: Resources;
  readonly state: SandboxState;
  /** Set when the row is made; a resume does not move it. */
  readonly startedAt: string;
  readonly endAt: string;
  /** The lifetime that was last asked for, which traffic gives it again. Milliseconds. */
  readonly lifetimeMs: number;
  /** Milliseconds; 0: never. */
  readonly idleTimeoutMs: number;
  /** About when somebody last used it; `null`: nobody has, or nobody counts. */
  readonly lastUsedAt: string | null;
  readonly onTimeout: "kill" | "pause";
  /** What a pause at the end of the lifetime keeps. */
  readonly pauseKeeps: Kept;
  /** Whether traffic resumes it when it is paused. */
  readonly autoResume: boolean;
  readonly domain: string | null;
  /** The network configuration as it was asked for, to be reported. */
  readonly network: unknown;
  /** Version of the protocol that the agent inside speaks; `null` until it has answered. */
  readonly agentVersion: string | null;
  /** What its pause keeps; `null` while it is neither paused nor on the way to it or from it. */
  readonly kept: Kept | null;
  /** Why it ended; `null` while it has not. */
  readonly endReason: string | null;
  readonly endedAt: string | null;
}

/** What must be kept from everybody but the server and the sandbox's tenant. Gone as soon as the sandbox has ended. */
export interface SandboxSecrets {
  /** `null`: the sandbox is not secured. */
  readonly envdAccessToken: string | null;
  /** `null`: its ports are public. */
  readonly trafficAccessToken: string | null;
  /** Kept because a sandbox that is resumed from its files alone needs them again. */
  readonly envs: Readonly<Record<string, string>>;
}

/** A row to be written before its machine is made, in state `creating`. */
export type NewSandbox = Omit<
  SandboxRecord,
  "state" | "agentVersion" | "kept" | "endReason" | "endedAt" | "lastUsedAt"
> & { readonly secrets: SandboxSecrets };

/** What a move may change besides the state. */
export interface SandboxChanges {
  readonly endAt?: string;
  readonly lifetimeMs?: number;
  readonly agentVersion?: string;
  readonly onTimeout?: SandboxRecord["onTimeout"];
  readonly pauseKeeps?: Kept;
  readonly autoResume?: boolean;
  /** Required by a move to `pausing`; forgotten by every move to `running` or `ended`. */
  readonly kept?: Kept;
  /** Required by a move to `ended`. */
  readonly endReason?: string;
}

export interface SandboxMove {
  /** The move is made when the sandbox is in one of these. */
  readonly from: SandboxState | readonly SandboxState[];
  readonly to: SandboxState;
  readonly changes?: SandboxChanges;
}

export interface SandboxFilter {
  /** Absent: of every tenant; for the server itself. */
  readonly tenantId?: string;
  /** Absent: on every host. */
  readonly hosts?: readonly string[];
  /** Absent: every state, `ended` too. */
  readonly states?: readonly SandboxState[];
  /** Pairs that must all be there. */
  readonly metadata?: Readonly<Record<string, string>>;
  readonly template?: string;
  /** RFC 3339. */
  readonly startedAfter?: string;
}

export interface SandboxListOptions extends SandboxFilter {
  /** Default `newest-first`. */
  readonly order?: "newest-first" | "oldest-first";
  /** 1 to 1,000; default 100. */
  readonly limit?: number;
  /** `nextToken` of the page before. Throws `invalid` for one that this store did not make. */
  readonly token?: string;
}

/** What a tenant uses now, as its limits count it. */
export interface Usage {
  readonly sandboxes: number;
  readonly cpus: number;
  readonly memoryMiB: number;
}

export interface Sandboxes {
  /**
   * Writes the row, unless it would pass a limit of its tenant: then throws `LimitReached` (`exhausted`). Counting and
   * writing are one step, so that two requests cannot both take the last place.
   * Throws `already-exists` for an id that is taken, `not-found` for an unknown tenant.
   */
  create(sandbox: NewSandbox): Promise<SandboxRecord>;
  /** With a tenant given, another tenant's sandbox is as absent as one that never was. Throws `not-found`. */
  get(id: string, tenantId?: string): Promise<SandboxRecord>;
  /** Throws `not-found`, also once the sandbox has ended. */
  secrets(id: string): Promise<SandboxSecrets>;
  list(options?: SandboxListOptions): Promise<Page<SandboxRecord>>;
  count(filter?: SandboxFilter): Promise<number>;
  usage(tenantId: string): Promise<Usage>;
  /**
   * Moves the state when it is one of `from`; of any number of callers, one wins. A move from `paused` to `resuming` counts
   * against the tenant's limits like a creation. Throws `conflict` (with the state found) when another was faster,
   * `LimitReached`, `not-found`, and `invalid` for a move that no sandbox makes.
   */
  move(id: string, move: SandboxMove): Promise<SandboxRecord>;
  /**
   * Sets when the lifetime of a sandbox that has not ended ends, and how long it is where that is given; with `onlyLater`,
   * only when that is later. Resolves with the row as it is then.
   */
  setEndAt(
    id: string,
    endAt: string,
    options?: { readonly onlyLater?: boolean; readonly lifetimeMs?: number },
  ): Promise<SandboxRecord>;
  /** Notes that sandboxes that have not ended are on the host. */
  setHost(ids: readonly string[], host: string): Promise<void>;
  /** Notes when sandboxes that have not ended were used last. */
  setLastUsedAt(ids: readonly string[], at: string): Promise<void>;
  setNetwork(id: string, network: unknown): Promise<SandboxRecord>;
  /** Forgets sandboxes, and their metrics, that ended before the given time. Resolves with how many. */
  forgetEndedBefore(time: string): Promise<number>;
}
