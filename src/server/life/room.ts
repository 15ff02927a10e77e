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
  { turnstile, memory, disk }: Pick<LifeParts, "turnstile" | "memory" | "disk">,
  { tenantId, memoryMiB, isPromised, diskMiB, signal }: RoomWanted,
): Promise<Disposable> {
  const taken: Disposable[] = [await turnstile.enter(tenantId, signal)];
  const giveBack = (): void => {
    for (const each of taken.toReversed()) each[Symbol.dispose]();
  };
  try {
    if (diskMiB > 0) taken.push(disk.reserve(diskMiB));
    taken.push(memory.reserve(memoryMiB, { isPromised }));
    return { [Symbol.dispose]: giveBack };
  } catch (cause) {
    giveBack();
    throw cause;
  }
}
