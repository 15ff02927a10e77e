import type { Capability, MachineMetrics, SnapshotInfo, SnapshotShelf } from "../../core/driver.ts";
import type { EnforcementReport } from "../../core/enforcement.ts";
import type { Kept } from "../../core/kept.ts";
import type { Lease, SandboxSpec } from "../../core/spec.ts";
import type { OpenPort } from "../../guest/ports.ts";
import type { Uses } from "../../guest/uses.ts";
import type { MadeSandbox, ToldSandbox } from "../../wire/control/service-answers.ts";
import type { AddressBook, Placed } from "./address.ts";
import type { Place } from "./place.ts";

/** A service of E2B's kind, as far as the driver needs it. Methods throw what the service refused them for. */
export interface Service {
  /** What it is, for a person. */
  readonly version: string;
  readonly notes: readonly string[];
  readonly capabilities: ReadonlySet<Capability>;
  readonly addresses: AddressBook;
  /** Throws `unsupported`, with the field, for what the service does not enforce. */
  enforcement(spec: SandboxSpec): EnforcementReport;
  /** Throws when the key is not good. */
  check(): Promise<void>;
  make(spec: SandboxSpec): Promise<MadeSandbox>;
  /** Throws `not-found`; where the service remembers what has ended, that is told. */
  find(id: string): Promise<ToldSandbox>;
  list(): AsyncIterable<ToldSandbox>;
  metrics(id: string): Promise<MachineMetrics>;
  /** `undefined`: ports are reached by HTTP alone. */
  readonly openPort: ((sandbox: Placed) => OpenPort) | undefined;
  /** What its pauses can keep, the most first. */
  readonly keeps: readonly Kept[];
  /** The two are present exactly when the capabilities have `snapshot`. */
  readonly takeSnapshot: ((id: string, name: string) => Promise<SnapshotInfo>) | undefined;
  readonly shelf: SnapshotShelf | undefined;
  /** Looks after a sandbox: as its owner with a lease, as somebody who uses it without one. */
  keep(id: string, state: ToldSandbox["state"], lease: Lease | undefined): Keeper;
}

/** Looks after one sandbox until it has ended or nobody wants to know any more. */
export interface Keeper {
  readonly place: Place;
  readonly uses: Uses;
  /** What the service tells, with what its owner alone knows. */
  completed(told: ToldSandbox): ToldSandbox;
  setLifetime(lifetimeMs: number): Promise<void>;
  /** Throws `conflict` when it is paused. */
  pause(kept: Kept): Promise<void>;
  /** Throws `conflict` when it is not paused. */
  resume(lifetimeMs: number, from: Kept): Promise<void>;
  /** Ends the sandbox; resolves when the service says that it is gone. */
  kill(): Promise<void>;
}
