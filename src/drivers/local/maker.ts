import { readFileSync, readlinkSync, writeFileSync } from "node:fs";

/** Notes which process makes a machine, so that a sweep need not wait for one that has died. */
export function noteMaker(file: string): void {
  const stat = readFileSync("/proc/self/stat", "latin1");
  const startedAt = stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? "";
  const namespace = readlinkSync("/proc/self/ns/pid");
  writeFileSync(file, `${process.pid} ${startedAt} ${namespace}\n`, { mode: 0o600 });
}
