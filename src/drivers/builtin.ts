import type { Driver } from "../core/driver.ts";
import type { E2bOptions } from "./e2b/options.ts";

/** What every built-in driver takes. */
export interface BuiltinOptions {
  /** Where machines, templates and empty disks are. An absolute path. */
  readonly stateDir: string;
  /** Uses a runtime although it has known escapes; the probe, `enforcement()` and `audit.jsonl` say so. Default `false`. */
  readonly allowKnownEscapes?: boolean;
  /** Where an Engine is looked for: DOCKER_HOST and XDG_RUNTIME_DIR. Default: the usual places alone. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
}

/** What drivers of an Engine take of it; they refuse what they do not know. */
function engineOptions({
  stateDir,
  allowKnownEscapes = false,
  environment = {},
}: BuiltinOptions): BuiltinOptions {
  return { stateDir, allowKnownEscapes, environment };
}

/** The built-in drivers of this host, those that `auto` tries before the others, each loaded when it is asked for. */
export const builtinDrivers = {
  gvisor: async (options: BuiltinOptions): Promise<Driver> =>
    (await import("./gvisor/index.ts")).gvisor(options),
  kata: async (options: BuiltinOptions): Promise<Driver> =>
    (await import("./kata/index.ts")).kata(engineOptions(options)),
  runc: async (options: BuiltinOptions): Promise<Driver> =>
    (await import("./runc/index.ts")).runc(options),
  docker: async (options: BuiltinOptions): Promise<Driver> =>
    (await import("./docker/index.ts")).docker(engineOptions(options)),
  firecracker: async (options: BuiltinOptions): Promise<Driver> =>
    (await import("./firecracker/index.ts")).firecracker(options),
  qemu: async (options: BuiltinOptions): Promise<Driver> =>
    (await import("./qemu/index.ts")).qemu(options),
} as const;

export type BuiltinName = keyof typeof builtinDrivers;

/** What `auto` tries, strongest first. The others are chosen by name: QEMU may have to emulate the processor. */
export const autoDrivers: readonly BuiltinName[] = [
  "gvisor",
  "firecracker",
  "kata",
  "runc",
  "docker",
];

/** What the drivers of services elsewhere take, by their names. */
export interface HostedOptions {
  readonly e2b?: E2bOptions | undefined;
}

/** Drivers of services elsewhere. Never chosen but by name: what runs there has left this host. */
export const hostedDrivers = {
  e2b: async ({ e2b = {} }: HostedOptions): Promise<Driver> =>
    (await import("./e2b/index.ts")).e2b(e2b),
} as const;

export type HostedName = keyof typeof hostedDrivers;

/** Drivers that are to come, so that asking for one is told apart from a name that means nothing. */
export const plannedDrivers: readonly string[] = [
  "docker",
  "kata",
  "firecracker",
  "qemu",
  "kubernetes",
  "modal",
].filter((name) => !Object.hasOwn(builtinDrivers, name));
