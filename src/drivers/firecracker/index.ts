import { env } from "node:process";
import type { Driver } from "../../core/driver.ts";
import { microvmDriver } from "../microvm/driver.ts";
import { firecrackerEngine } from "./engine.ts";
import type { FirecrackerOptions } from "./options.ts";

export type { FirecrackerOptions } from "./options.ts";

/** Machines with kernels of their own, by Firecracker under its jailer. */
export function firecracker(options: FirecrackerOptions): Driver {
  const { seccompFilter = env["FIRECRACKER_SECCOMP_FILTER"] } = options;
  const own = seccompFilter === undefined ? options : { ...options, seccompFilter };
  return microvmDriver(firecrackerEngine(own), own);
}
