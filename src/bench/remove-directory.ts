import { readFile, rm } from "node:fs/promises";
import { timeToEnd } from "./child.ts";

/** Removes a directory with all below it, and what a runtime has left mounted there. */
export async function removeDirectory(directory: string): Promise<void> {
  const mounts = await readFile("/proc/self/mounts", "utf8");
  const below = mounts
    .split("\n")
    .map((line) => line.split(" ")[1] ?? "")
    .filter((at) => at.startsWith(`${directory}/`));
  for (const at of below.toReversed()) await timeToEnd(["umount", at]);
  await rm(directory, { recursive: true, force: true });
}
