import type { Kept } from "./kept.ts";

/** What one sandbox may use. Every number is enforced by the driver, or the creation is refused. */
export interface Resources {
  /** CPU time, in cores: 1 is one core, 0.5 half of one. */
  readonly cpus: number;
  /** Memory in MiB, without swap. Kernel memory and page cache of the sandbox count. */
  readonly memoryMiB: number;
  /** Size of the private writable layer in MiB. */
  readonly diskMiB: number;
  /** Processes and threads that may exist at once. */
  readonly pids: number;
  /** Open files of each process (RLIMIT_NOFILE). */
  readonly openFiles: number;
}

/** A sandbox's right to exist. */
export interface Lease {
  /** Ends the sandbox this long after its creation or the last `setLifetime`, whatever it does. Milliseconds. */
  readonly lifetimeMs: number;
  /** Ends the sandbox when nobody has used it for this long. Milliseconds; 0 means never. */
  readonly idleTimeoutMs: number;
  /** `true`: outlives the process that made it. `false`: ends at once when that process exits or crashes. */
  readonly detached: boolean;
  /** What the end of the lifetime does: ends the sandbox, or pauses it and keeps this. Absent: ends it. */
  readonly atLifetimeEnd?: "end" | Kept;
}

/** What may leave a sandbox. Deny all is the default and all that drivers without `egress` accept. */
export interface EgressPolicy {
  /** Host names, wildcards (`*.example.org`), CIDRs; empty: nothing leaves. */
  readonly allowOut: readonly string[];
  /** Taken away from `allowOut`. */
  readonly denyOut: readonly string[];
}

/** A seccomp profile in the format of the OCI runtime specification (`linux.seccomp`), already parsed. */
export type SeccompProfile = Readonly<Record<string, unknown>>;

/** All that a driver needs to make a machine. Complete: defaults are filled in before a driver sees it. */
export interface SandboxSpec {
  /** The id it gets: `i` and 20 lower-case letters and digits. Absent: the driver makes one. `already-exists` for one that is taken. */
  readonly id?: string;
  /** What its agent asks tenants for; empty: nothing. Absent: a secret that nobody learns. */
  readonly accessToken?: string;
  /** A template's name: a built-in one, or one built on this host. */
  readonly template: string;
  readonly resources: Resources;
  readonly lease: Lease;
  readonly egress: EgressPolicy;
  /** Environment of every process in the sandbox. */
  readonly envs: Readonly<Record<string, string>>;
  /** Names and values of the user's own; never reaches a runtime's annotations. */
  readonly metadata: Readonly<Record<string, string>>;
  /** `undefined`: the driver's own profile. */
  readonly seccomp: SeccompProfile | undefined;
}
