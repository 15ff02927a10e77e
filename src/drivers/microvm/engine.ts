import type { Enforcement } from "../../core/enforcement.ts";
import type { Kept } from "../../core/kept.ts";
import type { SandboxSpec } from "../../core/spec.ts";
import type { MachinePlaces } from "../local/layout.ts";
import type { GuestFiles } from "./guest-files.ts";

/** All that makes one engine's driver differ from another's. */
export interface Engine {
  /** The driver's name. */
  readonly name: string;
  /** What a pause can keep, the most first. */
  readonly keeps: readonly Kept[];
  /** Finds what may be used on this host. Throws `unavailable` or `denied` with the mend. */
  find(): Promise<FoundEngine>;
  /** Rows beside the shared ones. Throws `unsupported`, with the field, for an option that nothing enforces. */
  enforcement(spec: SandboxSpec): readonly Enforcement[];
}

export interface FoundEngine {
  readonly version: string;
  /** What the probe says beside the version. */
  readonly notes: readonly string[];
  /** Whether software emulates the processors. */
  readonly emulated: boolean;
  /** How one machine is started. May make what later ones start from. Aborting undoes what was begun. */
  vessel(wanted: VesselWanted): Promise<Vessel>;
}

/** What a machine consists of when its engine is asked how it is started. */
export interface VesselWanted {
  readonly stateDir: string;
  readonly places: MachinePlaces;
  readonly spec: SandboxSpec;
  readonly guest: GuestFiles;
  /** The engine's user and group on the host. */
  readonly hostId: number;
  readonly signal: AbortSignal | undefined;
}

/** How one machine is started; docs/decisions/0018 says what the supervisor does with it. */
export interface Vessel {
  readonly start: readonly [string, ...string[]];
  /** Names the machine's first process once `start` has ended with 0; empty: `start` stays with the machine. */
  readonly pidFile: string;
  readonly remove: readonly string[];
  /** The directory that is the engine's root; empty: it goes into a jail of its own. */
  readonly jail: string;
  /** Where an engine makes its own jail, below the machine's directory; empty: it makes none. */
  readonly own: string;
  readonly files: readonly VesselFile[];
  /** Groups that the engine needs beside its own. */
  readonly groups: readonly number[];
  readonly stream:
    | { readonly kind: "descriptor" }
    | { readonly kind: "socket"; readonly path: string; readonly port: number };
  /** What the engine is asked through its API, in this order, before it has a machine. `socket` is below the machine's directory. */
  readonly calls: { readonly socket: string; readonly list: readonly EngineCall[] };
  /** The disks as the machine's kernel finds them: `serial:<name>`, or the name of a block device. Topmost layer first. */
  readonly disks: { readonly layers: readonly string[]; readonly writable: string };
  /** What the engine needs on the host beside the machine's own memory. MiB. */
  readonly overheadMiB: number;
  /** Threads of the engine. */
  readonly threads: number;
}

/** A request of HTTP with a body of JSON. */
export interface EngineCall {
  readonly method: "PUT" | "PATCH";
  readonly path: string;
  readonly body: Readonly<Record<string, unknown>>;
}

export interface VesselFile {
  readonly from: string;
  /** Its name in the engine's root, below `machine/`. */
  readonly to: string;
  readonly writable: boolean;
}
