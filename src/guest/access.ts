import { type OnReadOpts, type Socket, connect } from "node:net";
import type { EndReason, Reach, SnapshotInfo } from "../core/driver.ts";
import type { Kept } from "../core/kept.ts";
import type { Resources } from "../core/spec.ts";
import type { ControlInfo, CopiedDisk } from "./control-messages.ts";

/**
 * Opens a new connection to a machine's socket. It may still be connecting; the client writes the first line.
 *
 * `onread` must reach the socket: files are read with it, straight into where they are wanted.
 */
export type Dial = (onread?: OnReadOpts) => Socket;

/** Dials a machine's `machine.sock` by its path. */
export function dialSocket(path: string): Dial {
  return (onread) => connect(onread === undefined ? { path } : { path, onread });
}

/** A way to a machine's agent: connections on which it speaks HTTP/1.1. */
export interface Way {
  /** Opens a connection that is ready for HTTP, as `Dial` has it. */
  readonly connect: Dial;
  /** What every request on it says, `host` among them. Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  /** Stands before every path; ends without a slash. */
  readonly prefix: string;
  /** How long an unused connection is kept. Milliseconds; absent: for ever. */
  readonly restMs?: number;
}

/** The way with the host's rights, which are those of whoever can open the machine's socket. */
export function hostWay(dial: Dial): Way {
  return {
    connect(onread) {
      const socket = dial(onread);
      socket.write("HOST\n");
      return socket;
    },
    headers: { host: "localhost" },
    prefix: "",
  };
}

/** What answers for a machine that is paused and has no supervisor. */
export interface Resting {
  /** `undefined`: the machine is not paused. */
  info(): Promise<ControlInfo | undefined>;
  /** Whether its memory is on a disk. */
  hasMemory(): Promise<boolean>;
  /** Resolves when the machine runs. Throws `conflict`, `untrusted`, and what a start may throw; it is paused as before then. */
  resume(lifetimeMs: number, from: Kept): Promise<void>;
  /** Removes all of it. One that is gone already is no error. */
  discard(): Promise<void>;
}

/** What a driver tells of a machine that it has started or found. */
export interface MachineAccess {
  readonly id: string;
  /** The driver's name. */
  readonly driver: string;
  readonly template: string;
  readonly metadata: Readonly<Record<string, string>>;
  /** Version of the machine's own kernel; `undefined`: it shares the host's. */
  readonly kernel?: string | undefined;
  readonly resources: Resources;
  /** Whether this process is the owner, so that the machine ends with it unless it is detached. */
  readonly own: boolean;
  /** Whether the machine has kernels (`code`). */
  readonly code: boolean;
  /** What a pause can keep, the most first; empty: it cannot be paused. */
  readonly keeps: readonly Kept[];
  /** Whether a pause that keeps memory brings it to a disk. */
  readonly givesMemoryBack: boolean;
  /** Absent where a paused machine always has a supervisor. */
  readonly resting?: Resting;
  /** What a snapshot can keep, the least first. Default: the files alone. */
  readonly snapshotKeeps?: readonly Kept[];
  /** Makes a snapshot of what `copy` copies into a directory of that name. Absent: it has no snapshots. */
  readonly takeSnapshot?: (
    name: string,
    copy: (directory: string) => Promise<CopiedDisk>,
  ) => Promise<SnapshotInfo>;
  readonly dial: Dial;
  readonly reach: Reach | undefined;
  /** The note that the supervisor leaves behind: why the machine ended, where that is known. */
  readonly endNote?: () => Promise<EndReason | undefined>;
  /** How long a broken connection waits to hear whether the machine has ended, and why. Milliseconds; default 1000. */
  readonly patienceMs?: number;
  /** Runs once after the machine has ended or was disposed: what the driver itself still holds. Idempotent. */
  readonly release?: () => Promise<void>;
}
