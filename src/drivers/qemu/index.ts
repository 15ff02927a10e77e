import type { Driver } from "../../core/driver.ts";
import { type MicrovmOptions, microvmDriver } from "../microvm/driver.ts";
import { qemuEngine } from "./engine.ts";

/** Machines with kernels of their own, by QEMU: with KVM where that runs guests, else emulated. */
export function qemu(options: MicrovmOptions): Driver {
  return microvmDriver(qemuEngine(options.stateDir), options);
}
