import type { Driver } from "../core/driver.ts";
import type { SandboxOptions } from "../core/options.ts";
import type { Sandbox } from "../core/sandbox.ts";
import type { RawRuntime } from "./raw-runtime.ts";

/** A sandbox that a server has made. */
export interface ServedSandbox {
  readonly id: string;
  /** For its data plane. */
  readonly token: string;
}

/** A server over a driver, in a process of its own. Disposing ends it with its sandboxes. */
export interface BenchServer extends AsyncDisposable {
  readonly pid: number;
  /** Resolves when the control plane has answered. */
  create(template: string): Promise<ServedSandbox>;
  /** A client of its data plane; disposing closes connections alone. */
  open(sandbox: ServedSandbox): Sandbox;
  kill(id: string): Promise<void>;
}

/** What is measured: a driver, beside the runtime that it stands on. */
export interface Subject {
  readonly driver: Driver;
  /** `undefined`: there is no raw side, as for a hosted service. */
  readonly raw: RawRuntime | undefined;
  /** Starts a server over the driver, with what it keeps in a directory that is not there yet. `undefined`: there is none. */
  readonly serve: ((directory: string) => Promise<BenchServer>) | undefined;
  /** How many live sandboxes the density scenario makes when nobody says. */
  readonly densityTarget: number;
}

/** Where a scenario works. */
export interface Stage {
  readonly subject: Subject;
  /** Attempts that will be made on each side. */
  readonly count: number;
  /** A directory of the scenario's own, on the disk that sandboxes use; removed afterwards. */
  readonly directory: string;
  readonly signal: AbortSignal | undefined;
  /** Says how a long preparation goes. */
  readonly tell: (text: string) => void;
  /** Makes a sandbox on the subject's driver that no idle time-out ends. */
  readonly create: (options?: SandboxOptions) => Promise<Sandbox>;
}

/** One attempt: makes its own measurement, in the scenario's unit, and leaves nothing behind. */
export type Attempt = (index: number) => Promise<number>;

/** Both sides, ready to be measured. Disposing ends what they hold. */
export interface Sides extends AsyncDisposable {
  readonly ours: Attempt;
  /** `undefined`: this subject has no raw side. */
  readonly raw: Attempt | undefined;
  /** Further figures, asked for after the last attempt, by name with unit. */
  readonly figures?: () => Promise<Readonly<Record<string, number>>>;
}

/** A question with a number for an answer. */
export interface Scenario {
  readonly name: string;
  /** What our side does. */
  readonly title: string;
  /** What the raw side does, or why there is none. */
  readonly rawTitle: string;
  readonly unit: "ms" | "MiB";
  /** Bytes that each attempt moves. */
  readonly bytes?: number;
  /** Attempts per side when nobody says. */
  readonly count: (subject: Subject) => number;
  /** Attempts per side before those that count. */
  readonly warmups: number;
  prepare(stage: Stage): Promise<Sides>;
}
