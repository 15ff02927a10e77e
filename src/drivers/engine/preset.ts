import type { Enforcement } from "../../core/enforcement.ts";
import type { Isolation } from "../../core/driver.ts";
import type { SandboxSpec } from "../../core/spec.ts";
import type { Engine } from "./engine.ts";

/** All that makes one Engine's driver differ from another's. */
export interface Preset {
  /** The driver's name. */
  readonly name: string;
  readonly isolation: Isolation;
  /** The runtime that the Engine is asked for. Throws `unavailable` when it has none that may be used. */
  runtimeOf(engine: Engine): Promise<ChosenRuntime>;
  /** How many processes and threads the host must allow so that the guest has its own number. */
  hostPids(pids: number): number;
  /** Whether the guest's kernel is the host's, so that filters and privileges of the host's kernel hold in it. */
  readonly sharesKernel: boolean;
  /** Rows beside the shared ones. */
  enforcement(spec: SandboxSpec): readonly Enforcement[];
}

/** A runtime that may be used. */
export interface ChosenRuntime {
  /** As the Engine knows it; `undefined`: its default one. */
  readonly name: string | undefined;
  readonly version: string;
  /** What the probe says of it. */
  readonly notes: readonly string[];
  /** CVE of each known escape that was overridden. */
  readonly overridden: readonly string[];
}

/** An Engine with the runtime that machines get. */
export interface Ready {
  readonly engine: Engine;
  readonly runtime: ChosenRuntime;
}
