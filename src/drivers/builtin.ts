import type { Driver } from "../core/driver.ts";

/** What every built-in driver takes. */
export interface BuiltinOptions {
  /** Where machines, templates and empty disks are. An absolute path. */
  readonly stateDir: string;
  /** Uses a runtime although it has known escapes; the probe, `enforcement()` and `audit.jsonl` say so. Default `false`. */
  readonly allowKnownEscapes?: boolean;
}

/** The built-in drivers, strongest first, each loaded when it is asked for. */
export const builtinDrivers = {
  gvisor: async (options: BuiltinOptions): Promise<Driver> =>
    (await import("./gvisor/index.ts")).gvisor(options),
  runc: async (options: BuiltinOptions): Promise<Driver> =>
    (await import("./runc/index.ts")).runc(options),
} as const;

export type BuiltinName = keyof typeof builtinDrivers;

/** Drivers that are to come, so that asking for one is told apart from a name that means nothing. */
export const plannedDrivers: readonly string[] = [
  "docker",
  "kata",
  "firecracker",
  "qemu",
  "kubernetes",
  "e2b",
  "modal",
].filter((name) => !Object.hasOwn(builtinDrivers, name));
