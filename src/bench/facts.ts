import { access, readFile } from "node:fs/promises";
import { availableParallelism, cpus, loadavg, release, totalmem } from "node:os";
import type { MachineFacts } from "./report.ts";

/** What this machine is. */
export async function machineFacts(
  runtimes: Readonly<Record<string, string>>,
): Promise<MachineFacts> {
  return {
    cpuModel: cpus()[0]?.model.trim() ?? "unknown",
    cores: availableParallelism(),
    memoryMiB: Math.round(totalmem() / 2 ** 20),
    kernel: release(),
    cgroup: await cgroupVersion(),
    node: process.version,
    runtimes,
  };
}

/** The host's load average over one minute. */
export function load(): number {
  return loadavg()[0] ?? 0;
}

async function cgroupVersion(): Promise<string> {
  if (await exists("/sys/fs/cgroup/cgroup.controllers")) return "v2";
  const mounts = await readFile("/proc/self/mounts", "utf8");
  return /\bcgroup2\b/.test(mounts) ? "v1 with an empty v2 (hybrid)" : "v1";
}

async function exists(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch (cause) {
    if (cause instanceof Error && "code" in cause && cause.code === "ENOENT") return false;
    throw cause;
  }
}
