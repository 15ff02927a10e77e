import { statfsSync } from "node:fs";
import { SandboxError } from "../../core/errors.ts";

/** What the host keeps for itself. */
const reserveMiB = 512;

/** Throws `disk-full` when the disk that holds machines has not the room that one more sandbox may come to use. */
export function requireHostDisk(stateDir: string, diskMiB: number): void {
  const { bavail, bsize } = statfsSync(stateDir);
  const leftMiB = Math.max(0, Math.floor((bavail * bsize) / 1_048_576) - reserveMiB);
  if (diskMiB <= leftMiB) return;
  throw new SandboxError(
    "disk-full",
    `this host has ${leftMiB} MiB of disk left, too little for a sandbox of ${diskMiB} MiB`,
    { field: "resources.diskMiB", mend: "end sandboxes, or remove snapshots and templates" },
  );
}
