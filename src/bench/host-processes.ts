import { readFileSync, readdirSync } from "node:fs";
import { waitUntil } from "./clock.ts";

/** A process of the host, as far as its belonging matters. */
interface HostProcess {
  readonly pid: number;
  readonly parent: number;
  readonly marked: boolean;
}

/**
 * Processes of the host that belong to a machine: those whose command line or cgroup names its id, and all below them.
 *
 * This process is never one of them. Reads synchronously, which is several times faster where the files are in memory.
 */
export function processesOf(id: string): readonly number[] {
  const known = processIds().flatMap((pid) => look(pid, id));
  const belonging = new Set(known.filter(({ marked }) => marked).map(({ pid }) => pid));
  let before = -1;
  while (before !== belonging.size) {
    before = belonging.size;
    for (const { pid, parent } of known) if (belonging.has(parent)) belonging.add(pid);
  }
  return [...belonging];
}

/** Waits until the host has no process of a machine. Throws `timed-out`. */
export async function untilGone(id: string): Promise<void> {
  await waitUntil(() => Promise.resolve(processesOf(id).length === 0), "processes are left");
}

/**
 * Memory of processes, shared pages divided among those who share them. MiB. A process that has ended counts nothing.
 *
 * Processes with one address space between them, as runtimes have, tell the same of it to the last digit; it counts once.
 */
export function proportionalMemoryMiB(pids: readonly number[]): number {
  const spaces = new Set(pids.map((pid) => textOf(`/proc/${pid}/smaps_rollup`)));
  return [...spaces].reduce((sum, space) => sum + kibibytes(space, "Pss"), 0) / 1024;
}

/** Memory that the host could still give. MiB. */
export function availableMemoryMiB(): number {
  return kibibytes(textOf("/proc/meminfo"), "MemAvailable") / 1024;
}

function processIds(): readonly number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
}

/** A process, or nothing when it has ended or is this one. */
function look(pid: number, id: string): readonly HostProcess[] {
  const stat = textOf(`/proc/${pid}/stat`);
  const [state = "", parent] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  if (state === "" || pid === process.pid) return [];
  const marked =
    textOf(`/proc/${pid}/cmdline`).includes(id) || textOf(`/proc/${pid}/cgroup`).includes(id);
  return [{ pid, parent: Number(parent), marked }];
}

function kibibytes(text: string, name: string): number {
  const found = new RegExp(`^${name}: +(\\d+) kB$`, "m").exec(text)?.[1];
  return found === undefined ? 0 : Number(found);
}

/** A file of /proc; empty when its process has ended. */
function textOf(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    if (isGone(cause)) return "";
    throw cause;
  }
}

function isGone(cause: unknown): boolean {
  const code = cause instanceof Error && "code" in cause ? cause.code : undefined;
  return code === "ENOENT" || code === "ESRCH";
}
