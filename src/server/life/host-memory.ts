import { readFile } from "node:fs/promises";
import { SandboxError } from "../../core/errors.ts";

/** What the host keeps for itself. */
const reserveMiB = 256;

/** Throws `unavailable` when the host has not the memory that one more sandbox may come to use. */
export async function requireHostMemory(memoryMiB: number): Promise<void> {
  const availableMiB = availableIn(await readFile("/proc/meminfo", "utf8"));
  if (availableMiB === undefined || availableMiB - reserveMiB >= memoryMiB) return;
  throw new SandboxError(
    "unavailable",
    `this host has ${availableMiB} MiB of memory left, too little for a sandbox of ${memoryMiB} MiB`,
    { mend: "try again later, or end sandboxes" },
  );
}

/** MiB that `/proc/meminfo` says are available; `undefined` where it does not say. */
export function availableIn(meminfo: string): number | undefined {
  const kibibytes = /^MemAvailable:\s+(\d{1,15}) kB$/m.exec(meminfo)?.[1];
  return kibibytes === undefined ? undefined : Math.floor(Number(kibibytes) / 1024);
}
