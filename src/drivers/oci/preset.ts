import type { Enforcement } from "../../core/enforcement.ts";
import type { Isolation, Machine } from "../../core/driver.ts";
import type { Kept } from "../../core/kept.ts";
import type { Resources, SandboxSpec } from "../../core/spec.ts";
import type { IdRange } from "../local/id-ranges.ts";
import type { MachinePlaces } from "../local/layout.ts";
import type { RuntimeProgram } from "../local/runtime.ts";

/** All that makes one runtime's driver differ from another's. */
export interface Preset {
  /** The driver's name, also in the list of known escapes. */
  readonly name: string;
  readonly isolation: Isolation;
  readonly program: RuntimeProgram;
  /** Whether each machine has a user namespace with a range of the host's ids. */
  readonly mapsIds: boolean;
  /** What a pause can keep, the most first. */
  readonly keeps: readonly Kept[];
  /** How the agent follows commands; `fd`: in a control group that the supervisor lends it. */
  readonly commandGroups: "fd" | "cgroupfs";
  readonly noNewPrivileges: boolean;
  readonly sudo: boolean;
  /** How many processes and threads the host must allow so that the guest has its own number. */
  hostPids(pids: number): number;
  /** Fields of `config.json` beside or over the shared ones. */
  container(facts: ContainerFacts): ContainerConfig;
  /** The runtime's command lines. */
  start(call: RuntimeCall): readonly [string, ...string[]];
  remove(call: RuntimeCall): readonly [string, ...string[]];
  /** How memory is brought to a disk and back; `undefined`: it stays on the host. */
  checkpoint: ((call: RuntimeCall) => CheckpointCalls) | undefined;
  /** What the probe says beside the version. */
  readonly notes: readonly string[];
  /** Looks at a machine that a probe has started. Throws when the host does not enforce in it what must be. */
  inspect(machine: Machine): Promise<void>;
  /** Rows beside the shared ones. Throws `unsupported`, with the field, for an option that nothing enforces. */
  enforcement(spec: SandboxSpec, shared: SharedMechanisms): readonly Enforcement[];
}

export interface ContainerFacts {
  readonly id: string;
  readonly spec: SandboxSpec;
  readonly idRange: IdRange | undefined;
  /** Path of the user namespace with these ids. */
  readonly userNamespace: string;
  /** Absolute in every control group hierarchy. */
  readonly group: string;
}

export interface ContainerConfig {
  readonly process: Readonly<Record<string, unknown>>;
  readonly mounts: readonly unknown[];
  readonly linux: Readonly<Record<string, unknown>>;
}

export interface RuntimeCall {
  readonly program: string;
  readonly places: MachinePlaces;
  readonly spec: SandboxSpec;
}

/** Command lines, in which `memoryWord` stands for the directory of the memory. */
export interface CheckpointCalls {
  /** Stops all that runs in a machine. */
  readonly halt: readonly [string, ...string[]];
  readonly goOn: readonly [string, ...string[]];
  /** Writes the memory of a machine that was halted into an empty directory. */
  readonly save: readonly [string, ...string[]];
  /** Starts a machine with that memory, as `start` starts one without. */
  readonly restore: readonly [string, ...string[]];
  /** Runs the agent once more, with descriptor 3, which it gives to the agent that is there. */
  readonly join: readonly [string, ...string[]];
}

export const memoryWord = "{memory}";

export interface SharedMechanisms {
  readonly resources: Resources;
  /** The file that limits processes on this host. */
  readonly pidsFile: string;
}
