import { requireHostDisk } from "./host-disk.ts";
import type { LifeParts } from "./parts.ts";

export interface RoomWanted {
  readonly tenantId: string;
  readonly memoryMiB: number;
  /** Whether its memory is promised to it already. */
  readonly isPromised: boolean;
  /** Of the host's disk, anew. */
  readonly diskMiB: number;
  readonly signal: AbortSignal | undefined;
}

/**
 * Waits for a turn to make or resume a sandbox, and sets aside what of the host it takes until it runs or has failed. Throws
 * `unavailable` or `disk-full` when the host has not that much.
 */
export async function roomFor(
  { turnstile, memory, stateDir }: Pick<LifeParts, "turnstile" | "memory" | "stateDir">,
  { tenantId, memoryMiB, isPromised, diskMiB, signal }: RoomWanted,
): Promise<Disposable> {
  const turn = await turnstile.enter(tenantId, signal);
  try {
    if (diskMiB > 0) requireHostDisk(stateDir, diskMiB);
    const reserved = memory.reserve(memoryMiB, { isPromised });
    return {
      [Symbol.dispose]() {
        reserved[Symbol.dispose]();
        turn[Symbol.dispose]();
      },
    };
  } catch (cause) {
    turn[Symbol.dispose]();
    throw cause;
  }
}
