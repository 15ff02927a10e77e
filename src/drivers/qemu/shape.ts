import type { KnownFile } from "../../images/verified.ts";

/** All of a machine that decides what a state that was saved of it fits, but for the engine and this host. */
export interface MachineShape {
  readonly accelerator: Accelerator;
  readonly memoryMiB: number;
  readonly processors: number;
  readonly vmlinux: KnownFile;
  readonly initramfs: KnownFile;
}

export type Accelerator = "kvm" | "tcg";
