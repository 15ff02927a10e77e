import { readFile, readdir } from "node:fs/promises";

/** A process of the host, as far as its belonging matters. */
interface HostProcess {
  readonly pid: number;
  readonly parent: number;
  readonly marked: boolean;
}

/**
 * Processes of the host that belong to a machine: those whose command line or cgroup names its id, and all below them.
 *
 * This process is never one of them.
 */
export async function processesOf(id: string): Promise<readonly number[]> {
  const all = await Promise.all((await processIds()).map((pid) => look(pid, id)));
  const known = all.filter((each) => each !== undefined && each.pid !== process.pid);
  const belonging = new Set<number>();
  for (const each of known) if (each?.marked === true) belonging.add(each.pid);
  let before = -1;
  while (before !== belonging.size) {
    before = belonging.size;
    for (const each of known)
      if (each !== undefined && belonging.has(each.parent)) belonging.add(each.pid);
  }
  return [...belonging];
}

/** Memory of processes, shared pages divided among those who share them. MiB. A process that has ended counts nothing. */
export async function proportionalMemoryMiB(pids: readonly number[]): Promise<number> {
  const sizes = await Promise.all(
    pids.map(async (pid) => kibibytes(await textOf(`/proc/${pid}/smaps_rollup`), "Pss")),
  );
  return sizes.reduce((sum, size) => sum + size, 0) / 1024;
}

/** Memory that the host could still give. MiB. */
export async function availableMemoryMiB(): Promise<number> {
  return kibibytes(await textOf("/proc/meminfo"), "MemAvailable") / 1024;
}

async function processIds(): Promise<readonly number[]> {
  const names = await readdir("/proc");
  return names.filter((name) => /^\d+$/.test(name)).map(Number);
}

async function look(pid: number, id: string): Promise<HostProcess | undefined> {
  const stat = await textOf(`/proc/${pid}/stat`);
  const afterName = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const [state, parent] = afterName;
  if (state === undefined || state === "" || state === "X") return undefined;
  const marks = await Promise.all([textOf(`/proc/${pid}/cmdline`), textOf(`/proc/${pid}/cgroup`)]);
  return { pid, parent: Number(parent), marked: marks.some((text) => text.includes(id)) };
}

function kibibytes(text: string, name: string): number {
  const found = new RegExp(`^${name}: +(\\d+) kB$`, "m").exec(text)?.[1];
  return found === undefined ? 0 : Number(found);
}

/** A file of /proc; empty when its process has ended. */
async function textOf(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (cause) {
    if (isGone(cause)) return "";
    throw cause;
  }
}

function isGone(cause: unknown): boolean {
  const code = cause instanceof Error && "code" in cause ? cause.code : undefined;
  return code === "ENOENT" || code === "ESRCH";
}
