import { readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { isMissing, systemCode } from "../../images/file-errors.ts";

/** Notes which process makes a machine, so that a sweep need not wait for one that has died. */
export function noteMaker(file: string): void {
  writeFileSync(file, `${makerNote()}\n`, { mode: 0o600 });
}

/** This process: its pid, when it started in the kernel's ticks, and its namespace of pids. */
export function makerNote(): string {
  return `${process.pid} ${startOf("self")} ${ownNamespace()}`;
}

/** Whether the process of a note is known to have ended; of one of another namespace nothing is known. */
export function isMakerGone(note: string): boolean {
  const [pid = "", started, namespace] = note.trim().split(" ");
  if (namespace !== ownNamespace() || !/^\d+$/.test(pid)) return false;
  try {
    return startOf(pid) !== started;
  } catch (cause) {
    if (isMissing(cause) || systemCode(cause) === "ESRCH") return true;
    throw cause;
  }
}

function ownNamespace(): string {
  return readlinkSync("/proc/self/ns/pid");
}

function startOf(process: string): string {
  const stat = readFileSync(`/proc/${process}/stat`, "latin1");
  return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? "";
}
