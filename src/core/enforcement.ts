/** One option of a sandbox and what makes it true. */
export interface Enforcement {
  /** As the caller spells it: `resources.memoryMiB`, `egress`, `sudo`, `userNamespace`. */
  readonly option: string;
  /** The value in force, readable: "512 MiB, no swap". */
  readonly value: string;
  /** The mechanism: "cgroup v1 memory.limit_in_bytes". */
  readonly by: string;
  /**
   * `host`: enforced outside the guest's reach. `guest-kernel`: by the sandbox's own kernel. `service`: by a service that is
   * trusted for it, which nothing here can see. `none`: stated as absent.
   */
  readonly where: "host" | "guest-kernel" | "service" | "none";
  readonly note?: string;
}

export type EnforcementReport = readonly Enforcement[];
