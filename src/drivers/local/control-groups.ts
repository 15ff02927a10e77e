import { readFileSync } from "node:fs";

/** The files of control groups that hold each limit on this host. */
export interface LimitFiles {
  readonly cpu: string;
  readonly memory: string;
  readonly pids: string;
}

const inVersion1: LimitFiles = {
  cpu: "cgroup v1 cpu.cfs_quota_us",
  memory: "cgroup v1 memory.limit_in_bytes and memory.memsw.limit_in_bytes",
  pids: "cgroup v1 pids.max",
};
const inVersion2: LimitFiles = {
  cpu: "cgroup v2 cpu.max",
  memory: "cgroup v2 memory.max, with memory.swap.max 0",
  pids: "cgroup v2 pids.max",
};

/** What this host has: each controller is in version 1 where that is mounted with it, else in version 2. */
export function limitFiles(mounts: string = readFileSync("/proc/self/mounts", "utf8")): LimitFiles {
  const old = new Set(
    mounts
      .split("\n")
      .map((line) => line.split(" "))
      .filter(([, , type]) => type === "cgroup")
      .flatMap(([, , , options]) => options?.split(",") ?? []),
  );
  const of = (controller: keyof LimitFiles): string =>
    (old.has(controller) ? inVersion1 : inVersion2)[controller];
  return { cpu: of("cpu"), memory: of("memory"), pids: of("pids") };
}
