import { Registry, collectDefaultMetrics } from "prom-client";
import type { ErrorCode } from "../../core/errors.ts";
import type { SandboxState } from "../../store/state-moves.ts";
import { snapshotIdIn } from "../life/snapshot-name.ts";
import { instrumentsIn } from "./instruments.ts";

/** Counts what the server does, for Prometheus. No label names a tenant, a sandbox or a key. */
export interface Meters {
  /** A machine was asked for. */
  created(made: {
    readonly driver: string;
    readonly template: string;
    /** `undefined`: it was made. */
    readonly failure: ErrorCode | undefined;
    readonly seconds: number;
  }): void;
  /** A call of the control plane was answered. */
  called(call: {
    readonly operation: string;
    readonly status: number;
    readonly failure: string | undefined;
    readonly seconds: number;
  }): void;
  /** The store did something, well or not. */
  stored(operation: "read" | "write", result: "ok" | ErrorCode, seconds: number): void;
  /** Bytes of bodies and tunnels, to sandboxes and from them. */
  passed(direction: "in" | "out", bytes: number): void;
  /** A request to a sandbox begins; what it returns is told the status of its end. */
  visited(port: "agent" | "code" | "other"): (status: number) => void;
  certificate(expiresAt: string | undefined, reload?: "taken" | "refused"): void;
  /** Everything as Prometheus reads it. `live` is asked for sandboxes by state. */
  text(live: () => Promise<ReadonlyMap<SandboxState, number>>): Promise<string>;
  readonly contentType: string;
}

/** Templates that have series of their own; tenants may make any number. */
const mostTemplates = 50;

export function meters(version: string): Meters {
  const registry = new Registry();
  const instruments = instrumentsIn(registry);
  const templateLabel = firstOnes(mostTemplates);
  collectDefaultMetrics({ register: registry });
  instruments.build.set({ version }, 1);
  return {
    contentType: registry.contentType,
    created({ driver, template, failure, seconds }) {
      if (failure !== undefined) return instruments.failures.inc({ driver, code: failure });
      const name = snapshotIdIn(template) === undefined ? template : "snapshot";
      instruments.creates.observe({ driver, template: templateLabel(name) }, seconds);
    },
    called({ operation, status, failure, seconds }) {
      instruments.calls.observe({ operation, status: String(status) }, seconds);
      if (failure !== undefined) instruments.refusals.inc({ operation, code: failure });
    },
    stored(operation, result, seconds) {
      instruments.store.observe({ operation }, seconds);
      if (result !== "ok") instruments.storeFailures.inc({ operation, code: result });
    },
    passed: (direction, bytes) => instruments.bytes.inc({ direction }, bytes),
    visited(port) {
      instruments.open.inc({ port });
      return (status) => {
        instruments.open.dec({ port });
        instruments.visits.inc({ port, status: `${Math.floor(status / 100)}xx` });
      };
    },
    certificate(expiresAt, reload) {
      if (expiresAt !== undefined) instruments.expiry.set(Date.parse(expiresAt) / 1000);
      if (reload !== undefined) instruments.reloads.inc({ result: reload });
    },
    async text(live) {
      for (const [state, count] of await live()) instruments.sandboxes.set({ state }, count);
      return registry.metrics();
    },
  };
}

/** The names that came first keep theirs, and all later ones share one. */
function firstOnes(most: number): (name: string) => string {
  const known = new Set<string>();
  return (name) => {
    if (known.size < most) known.add(name);
    return known.has(name) ? name : "other";
  };
}
