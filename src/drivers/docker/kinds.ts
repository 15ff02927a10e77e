import type { Isolation } from "../../core/driver.ts";

/**
 * What stands between a container of a runtime and the host, by the runtime's name; what is not known counts as the least. A probe
 * sees to it that a runtime whose name promises a kernel of its own has one.
 */
export function isolationOf(runtime: string | undefined): Isolation {
  if (runtime === undefined) return "container";
  if (/runsc|gvisor/.test(runtime)) return "syscall";
  if (/kata/.test(runtime)) return "vm";
  return "container";
}

/** Threads of a runtime with a kernel of its own, with room for a guest that is about to be held to its number. */
const ownThreads = 1024;
const threadsEach = 3;

export const guestKernels = {
  hostPids: (pids: number): number => ownThreads + threadsEach * pids,
} as const;
