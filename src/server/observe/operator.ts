import { createHash, timingSafeEqual } from "node:crypto";
import { SandboxError } from "../../core/errors.ts";
import type { Driver } from "../../core/driver.ts";
import type { Store } from "../../store/store.ts";
import { type SandboxState, sandboxStates } from "../../store/state-moves.ts";
import type { CertificateFacts } from "../tls/credentials.ts";
import type { Meters } from "./meters.ts";

/** What the server's keeper is shown, and nobody else. */
export interface Operator {
  /** Throws `unauthenticated` for everything but the operator's token. */
  admit(token: string | undefined): void;
  /** Counts, as Prometheus reads them. */
  metrics(): Promise<{ readonly text: string; readonly contentType: string }>;
  status(): Promise<ServerStatus>;
}

/** Beginnings of a token, and 256 random bits. */
export const operatorTokenForm: RegExp = /^cofferdam_operator_[\w-]{43}$/;

export interface ServerStatus {
  readonly version: string;
  readonly url: string;
  readonly domain: string;
  readonly stateDir: string;
  readonly pid: number;
  readonly startedAt: string;
  readonly uptimeSeconds: number;
  readonly memoryBytes: number;
  readonly isReady: boolean;
  readonly drivers: readonly DriverStatus[];
  /** Those of each state that have not ended. */
  readonly sandboxes: Readonly<Partial<Record<SandboxState, number>>>;
  readonly store: { readonly kind: string; readonly works: boolean; readonly latencyMs: number };
  /** `null`: nothing is encrypted. */
  readonly certificate: CertificateFacts | null;
  readonly limits: Readonly<Record<string, number>>;
  /** What the server that died had left. */
  readonly found: Readonly<Record<string, number>>;
}

interface DriverStatus {
  readonly name: string;
  readonly isolation: string;
  readonly isDefault: boolean;
  readonly capabilities: readonly string[];
}

export interface OperatorParts {
  readonly token: string;
  readonly store: Store;
  readonly meters: Meters;
  readonly drivers: ReadonlyMap<string, Driver>;
  readonly defaultDriver: string;
  readonly certificate: () => CertificateFacts | undefined;
  /** What does not change while the server runs. */
  readonly facts: Pick<ServerStatus, "version" | "url" | "domain" | "stateDir" | "limits">;
  /** What does. */
  readonly now: () => Pick<ServerStatus, "isReady" | "found">;
}

const endedState: SandboxState = "ended";

export function operator(parts: OperatorParts): Operator {
  const { token, store, meters, drivers, defaultDriver, certificate, facts } = parts;
  const startedAt = new Date();
  const expected = digest(token);
  return {
    admit(given) {
      if (given !== undefined && timingSafeEqual(digest(given), expected)) return;
      throw new SandboxError(
        "unauthenticated",
        "the operator's token is needed, and is not given",
        {
          mend: "send it as Authorization: Bearer; it lies in server/operator-token below the state directory",
        },
      );
    },
    metrics: async () => ({
      text: await meters.text(() => liveIn(store)),
      contentType: meters.contentType,
    }),
    status: async () => ({
      ...facts,
      ...parts.now(),
      pid: process.pid,
      startedAt: startedAt.toISOString(),
      uptimeSeconds: Math.round((Date.now() - startedAt.getTime()) / 1000),
      memoryBytes: process.memoryUsage.rss(),
      drivers: [...drivers.values()].map(({ name, isolation, capabilities }) => ({
        name,
        isolation,
        isDefault: name === defaultDriver,
        capabilities: [...capabilities],
      })),
      sandboxes: Object.fromEntries(await liveIn(store)),
      store: await storeStatus(store),
      certificate: certificate() ?? null,
    }),
  };
}

/** How many sandboxes there are of each state but the last, of a tenant or of all. */
export async function liveIn(
  { sandboxes }: Store,
  tenantId?: string,
): Promise<ReadonlyMap<SandboxState, number>> {
  const whose = tenantId === undefined ? {} : { tenantId };
  const counts = new Map<SandboxState, number>();
  for (const state of sandboxStates.filter((each) => each !== endedState))
    counts.set(state, await sandboxes.count({ ...whose, states: [state] }));
  return counts;
}

async function storeStatus(store: Store): Promise<ServerStatus["store"]> {
  const begun = performance.now();
  try {
    await store.check();
  } catch (cause) {
    if (SandboxError.from(cause).code === "internal") throw cause;
    return { kind: store.kind, works: false, latencyMs: sinceMs(begun) };
  }
  return { kind: store.kind, works: true, latencyMs: sinceMs(begun) };
}

function sinceMs(begun: number): number {
  return Math.round((performance.now() - begun) * 100) / 100;
}

function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
