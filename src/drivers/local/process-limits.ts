import type { Resources } from "../../core/spec.ts";

/** What each process of a machine is held to. */
export interface ProcessLimits {
  readonly openFiles: number;
  /** With 0 a crash would still be given to the program that the host's core_pattern names; with 1 it is given to nobody. */
  readonly coreBytes: number;
  readonly pendingSignals: number;
  readonly messageQueueBytes: number;
}

export function processLimits({ openFiles }: Resources): ProcessLimits {
  return { openFiles, coreBytes: 1, pendingSignals: 1024, messageQueueBytes: 0 };
}
