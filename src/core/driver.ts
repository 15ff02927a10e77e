import type { EnforcementReport } from "./enforcement.ts";
import type { Files } from "./files.ts";
import type { CodeContexts } from "./code.ts";
import type { Kept } from "./kept.ts";
import type { Command, Process, ProcessInfo } from "./process.ts";
import type { Resources, SandboxSpec } from "./spec.ts";

/** What a driver can do beyond running commands and moving files. */
export type Capability = "code" | "ports" | "pause" | "snapshot" | "egress";

/** What stands between the guest's code and the host's kernel. */
export type Isolation = "none" | "container" | "syscall" | "vm" | "hosted";

/** Whether this host can use a driver now. */
export type Availability =
  | {
      readonly ok: true;
      readonly version: string;
      readonly notes: readonly string[];
      /** Its machines run on processors that software emulates: slow, and no boundary of security. */
      readonly emulated?: boolean;
    }
  | { readonly ok: false; readonly reason: string; readonly mend: string };

/** A way of making machines. */
export interface Driver {
  readonly name: string;
  readonly isolation: Isolation;
  readonly capabilities: ReadonlySet<Capability>;
  /** Starts a machine to find out whether this host can use it. Never throws. */
  probe(): Promise<Availability>;
  /** What enforces each option of the spec here. Throws `unsupported`, with the field, for one that nothing enforces. */
  enforcement(spec: SandboxSpec): EnforcementReport;
  /** Resolves when the agent has answered. Aborting undoes what was begun. */
  create(spec: SandboxSpec, signal?: AbortSignal): Promise<Machine>;
  /** A machine made by this or another process of the host. Throws `not-found`, with why it ended where that is known. */
  open(id: string): Promise<Machine>;
  list(): AsyncIterable<MachineInfo>;
  /** Present exactly when the driver lists `snapshot`. */
  readonly snapshots: SnapshotShelf | undefined;
  /** Gives back whatever a dead owner left on this host: processes, mounts, cgroups, directories. Returns what it removed. */
  sweep(): Promise<readonly string[]>;
}

export interface MachineInfo {
  readonly id: string;
  readonly driver: string;
  /** The driver behind a service that is one itself; absent where there is none, or it is not told. */
  readonly behind?: string;
  /** Version of the kernel that the machine booted; absent where it shares its host's, or it is not told. */
  readonly kernel?: string;
  readonly template: string;
  readonly state: "running" | "paused";
  /** Whether its memory is this host's to give: it runs here, or is paused and its memory stays where it is. */
  readonly holdsMemory: boolean;
  readonly metadata: Readonly<Record<string, string>>;
  readonly resources: Resources;
  readonly startedAt: Date;
  /** When the lifetime ends. */
  readonly endAt: Date;
  readonly idleTimeoutMs: number;
  /** Version of the agent inside. */
  readonly agentVersion: string;
  /** Version of E2B's protocol that it speaks. */
  readonly protocolVersion: string;
}

/** One reading of what a machine uses. */
export interface MachineMetrics {
  readonly timestamp: Date;
  readonly cpuCount: number;
  /** 0 to 100 per core, summed. */
  readonly cpuUsedPercent: number;
  readonly memoryUsedBytes: number;
  readonly memoryTotalBytes: number;
  readonly memoryCacheBytes: number;
  readonly diskUsedBytes: number;
  readonly diskTotalBytes: number;
}

/** Why a machine is no longer there. */
export type EndReason =
  | "killed"
  | "lifetime"
  | "idle"
  | "owner-gone"
  | "exited"
  | "out-of-memory"
  | "runtime-lost";

/** One isolated computer. Everything friendlier is built on this, once, in core. */
export interface Machine extends AsyncDisposable {
  readonly id: string;
  /** Version of the kernel that it booted; `undefined`: it shares its host's, or it is not told. */
  readonly kernel: string | undefined;
  readonly files: Files;
  /** Starts a process. `signal` ends the whole tree of it. */
  spawn(command: Command, signal?: AbortSignal): Promise<Process>;
  /** Running processes that were started through the seam. */
  processes(): Promise<readonly ProcessInfo[]>;
  /** Joins a running process: its output from now on, its input and its end. */
  attach(pid: number): Promise<Process>;
  info(): Promise<MachineInfo>;
  metrics(): Promise<MachineMetrics>;
  /** Whether the agent answers. Never throws. */
  isRunning(): Promise<boolean>;
  /** Ends the machine this long from now. Milliseconds. */
  setLifetime(lifetimeMs: number): Promise<void>;
  /** Each power is present exactly when the driver lists it; the key itself is never optional. */
  readonly code: CodeContexts | undefined;
  readonly ports: Ports | undefined;
  readonly power: Power | undefined;
  readonly snapshots: Snapshots | undefined;
  /** Where a proxy finds the agent and the ports; `undefined` where nothing but this seam reaches them. */
  readonly reach: Reach | undefined;
  /** Resolves with the reason once the machine has ended, however it ends. */
  readonly ended: Promise<EndReason>;
  /** Kills the machine and resolves when nothing of it is left. Idempotent. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** A way to a machine, as data: who copies bytes needs no driver. */
export type Reach =
  /** A unix socket of this host whose connections begin with a line: `PUBLIC` for the agent, `PORT <n>` for a port. */
  | { readonly kind: "socket"; readonly path: string }
  /** An HTTP service that serves each port at an address of its own. */
  | {
      readonly kind: "http";
      readonly url: (port: number) => string;
      readonly headers: Readonly<Record<string, string>>;
    };

/** A two-way stream of bytes to a port inside the machine. */
export interface Ports {
  connect(port: number, signal?: AbortSignal): Promise<ByteChannel>;
}

export interface ByteChannel extends AsyncDisposable {
  readonly readable: ReadableStream<Uint8Array>;
  readonly writable: WritableStream<Uint8Array>;
}

/**
 * Stops a machine and keeps it.
 *
 * A paused machine costs no CPU, has no lifetime and no owner, is found by `list` and `open`, and survives whatever becomes of
 * the process that made it. Calls of it but `info`, `resume` and dispose throw `conflict`. Its files are kept with a digest
 * that `resume` verifies; a pause or resume that fails half-way leaves it as it was.
 */
export interface Power {
  /** What `pause` can keep, the most first. */
  readonly keeps: readonly Kept[];
  /**
   * Whether a pause that keeps memory brings it to a disk and leaves no process. A machine that holds what cannot be brought
   * there is kept where it is all the same; `info().holdsMemory` tells.
   */
  readonly givesMemoryBack: boolean;
  /** Throws `conflict` when it is paused already, `unsupported` for what it cannot keep. Default: the most it can. */
  pause(kept?: Kept): Promise<void>;
  /**
   * Goes on, with a lifetime that is counted from now. What kept its files alone starts anew: new processes, a new boot id; so
   * does what kept its memory where `from` is `files`: its programs are ended in order first, if they can be brought back at all.
   * Throws `conflict` when it is not paused, `untrusted` when what was kept is not what was written, `unsupported` for memory
   * that another version of the runtime or another processor has kept.
   */
  resume(lifetimeMs: number, from?: Kept): Promise<void>;
}

export interface Snapshots {
  /** What `take` can keep, the least first. */
  readonly keeps: readonly Kept[];
  /**
   * Makes a template of the running machine, which goes on; with its memory, connections to it are cut. Keeps the files
   * alone unless asked for more. Throws `already-exists` for a name that is taken, `unsupported` for what it cannot keep.
   */
  take(name: string, kept?: Kept): Promise<SnapshotInfo>;
}

/** A template that was made of a running machine. */
export interface SnapshotInfo {
  /** By which `spec.template` names it. */
  readonly name: string;
  /** The template that the machine was made from. */
  readonly template: string;
  readonly kept: Kept;
  /** Of all that it holds: `sha256:` and 64 hexadecimal digits. */
  readonly digest: string;
  readonly sizeBytes: number;
  readonly createdAt: Date;
}

/** The snapshots that a driver keeps. */
export interface SnapshotShelf {
  list(): AsyncIterable<SnapshotInfo>;
  /** `false`: there is none of this name. Machines made from it live on. */
  remove(name: string): Promise<boolean>;
}
