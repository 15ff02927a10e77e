import { readdir, readFile, readlink } from "node:fs/promises";

/** A process of this host. `startedAt` tells it from a later one with the same pid. */
export interface HostProcess {
  readonly pid: number;
  readonly startedAt: string;
}

/** What this host shows of machines, read from /proc and /sys; nothing of it asks a driver. */
export interface HostView {
  /** Processes that belong to a machine: by control group, arguments, working directory or descent. */
  members(id: string): Promise<readonly HostProcess[]>;
  /** Those of the processes that still exist. */
  alive(processes: readonly HostProcess[]): Promise<readonly HostProcess[]>;
  /** Everything on this host that names the machine: processes, mounts of any namespace, control groups, loop devices, sockets, directories. */
  traces(id: string): Promise<readonly string[]>;
  /** User id, on this host, of the machine's process whose arguments contain the text; undefined when there is none. */
  ownerOf(id: string, text: string): Promise<number | undefined>;
  /** Names that appear among the driver's machines while `act` runs. Empty where its directory is not known. */
  appearing(act: () => Promise<unknown>): Promise<readonly string[]>;
  /** Resident memory of a process. Bytes; 0 when it is gone. */
  residentBytes(pid: number): Promise<number>;
  /** CPU time that the processes have used. Milliseconds. */
  cpuMs(processes: readonly HostProcess[]): Promise<number>;
  /** Settings of the host's kernel that a guest must not change, by name. */
  kernelSettings(): Promise<Readonly<Record<string, string>>>;
}

/** What else a machine is called on this host, as by a daemon that has names of its own for what it makes. */
export type OtherNames = (id: string) => Promise<readonly string[]>;

/** `stateDir`: where the driver keeps its machines; its notes about ended machines are not traces. */
export function hostView(
  stateDir: string | undefined,
  otherNames: OtherNames = async () => [],
): HostView {
  const members = async (id: string): Promise<readonly HostProcess[]> =>
    membersNamed([id, ...(await otherNames(id))]);
  return {
    members,
    alive,
    residentBytes,
    cpuMs,
    kernelSettings,
    ownerOf: async (id, argument) => ownerOf(await members(id), argument),
    appearing: (act) => appearing(stateDir, act),
    async traces(id) {
      const found = await Promise.all([
        members(id).then(processTraces),
        mountTraces(id),
        controlGroupTraces(id),
        loopTraces(id),
        socketTraces(id),
        directoryTraces(stateDir, id),
      ]);
      return found.flat();
    },
  };
}

/** What a read gives, or "" where the file vanished or may not be read: a process may end while it is looked at. */
async function text(path: string): Promise<string> {
  return readFile(path, "latin1").catch(() => "");
}

async function names(path: string): Promise<readonly string[]> {
  return readdir(path).catch(() => []);
}

async function pids(): Promise<readonly number[]> {
  return (await names("/proc")).filter((name) => /^[0-9]+$/.test(name)).map(Number);
}

/** Fields of /proc/<pid>/stat after the command's name, which may hold anything. */
async function stat(pid: number): Promise<readonly string[]> {
  const line = await text(`/proc/${pid}/stat`);
  return line.slice(line.lastIndexOf(")") + 2).split(" ");
}

async function namesMachine(pid: number, called: readonly string[]): Promise<boolean> {
  const [groups, argv, cwd] = await Promise.all([
    text(`/proc/${pid}/cgroup`),
    text(`/proc/${pid}/cmdline`),
    readlink(`/proc/${pid}/cwd`).catch(() => ""),
  ]);
  return called.some((id) => groups.includes(id) || argv.includes(id) || cwd.includes(id));
}

async function membersNamed(called: readonly string[]): Promise<readonly HostProcess[]> {
  const parents = new Map<number, number>();
  const own = new Set<number>();
  for (const pid of await pids()) {
    if (pid === process.pid) continue;
    if (await namesMachine(pid, called)) own.add(pid);
    parents.set(pid, Number((await stat(pid))[1]));
  }
  const belongs = (pid: number, depth = 0): boolean =>
    own.has(pid) || (depth < 64 && parents.has(pid) && belongs(parents.get(pid) ?? 0, depth + 1));
  const found: HostProcess[] = [];
  for (const pid of parents.keys())
    if (belongs(pid)) found.push({ pid, startedAt: (await stat(pid))[19] ?? "" });
  return found;
}

async function alive(processes: readonly HostProcess[]): Promise<readonly HostProcess[]> {
  const still: HostProcess[] = [];
  for (const each of processes) {
    const fields = await stat(each.pid);
    if (fields[19] === each.startedAt && fields[0] !== "Z") still.push(each);
  }
  return still;
}

async function ownerOf(
  members: readonly HostProcess[],
  argument: string,
): Promise<number | undefined> {
  for (const { pid } of members) {
    if (!(await text(`/proc/${pid}/cmdline`)).includes(argument)) continue;
    const match = /^Uid:\s+(\d+)/m.exec(await text(`/proc/${pid}/status`));
    if (match !== null) return Number(match[1]);
  }
  return undefined;
}

async function residentBytes(pid: number): Promise<number> {
  const match = /^VmRSS:\s+(\d+) kB/m.exec(await text(`/proc/${pid}/status`));
  return Number(match?.[1] ?? 0) * 1024;
}

async function cpuMs(processes: readonly HostProcess[]): Promise<number> {
  let ticks = 0;
  for (const { pid } of processes) {
    const fields = await stat(pid);
    ticks += Number(fields[11] ?? 0) + Number(fields[12] ?? 0);
  }
  return ticks * 10;
}

async function processTraces(found: readonly HostProcess[]): Promise<readonly string[]> {
  const described = await Promise.all(
    found.map(
      async ({ pid }) =>
        `process ${pid}: ${(await text(`/proc/${pid}/cmdline`)).replaceAll("\0", " ").slice(0, 200)}`,
    ),
  );
  return described;
}

async function mountTraces(id: string): Promise<readonly string[]> {
  const seen = new Set<string>();
  const found: string[] = [];
  for (const pid of await pids()) {
    const namespace = await readlink(`/proc/${pid}/ns/mnt`).catch(() => "");
    if (namespace === "" || seen.has(namespace)) continue;
    seen.add(namespace);
    const lines = (await text(`/proc/${pid}/mountinfo`)).split("\n");
    found.push(
      ...lines
        .filter((line) => line.includes(id))
        .map((line) => `mount in namespace of ${pid}: ${line}`),
    );
  }
  return found;
}

async function controlGroupTraces(
  id: string,
  path = "/sys/fs/cgroup",
  depth = 0,
): Promise<readonly string[]> {
  const entries = await readdir(path, { withFileTypes: true }).catch(() => []);
  const found: string[] = [];
  for (const entry of entries) {
    if (!entry.isDirectory()) continue;
    const child = `${path}/${entry.name}`;
    if (entry.name.includes(id)) found.push(`control group ${child}`);
    else if (depth < 6) found.push(...(await controlGroupTraces(id, child, depth + 1)));
  }
  return found;
}

async function loopTraces(id: string): Promise<readonly string[]> {
  const found: string[] = [];
  for (const name of await names("/sys/block")) {
    const backing = await text(`/sys/block/${name}/loop/backing_file`);
    if (backing.includes(id)) found.push(`loop device ${name}: ${backing.trim()}`);
  }
  return found;
}

async function socketTraces(id: string): Promise<readonly string[]> {
  const lines = (await text("/proc/net/unix")).split("\n");
  return lines.filter((line) => line.includes(id)).map((line) => `socket ${line}`);
}

/** Where runtimes keep their own state, beside the driver's directory. */
const runtimeDirectories = [
  "/run",
  "/run/runc",
  "/run/runsc",
  "/run/netns",
  "/var/run",
  "/dev/shm",
  "/tmp",
];

async function directoryTraces(
  stateDir: string | undefined,
  id: string,
): Promise<readonly string[]> {
  const found: string[] = [];
  for (const directory of runtimeDirectories)
    for (const name of await names(directory))
      if (name.includes(id)) found.push(`${directory}/${name}`);
  if (stateDir === undefined) return found;
  for (const entry of await readdir(stateDir, { withFileTypes: true }).catch(() => [])) {
    if (!entry.isDirectory() || entry.name === "ended" || entry.name === "templates") continue;
    for (const name of await names(`${stateDir}/${entry.name}`))
      if (name.includes(id)) found.push(`${stateDir}/${entry.name}/${name}`);
  }
  return found;
}

async function appearing(
  stateDir: string | undefined,
  act: () => Promise<unknown>,
): Promise<readonly string[]> {
  const directory = `${stateDir}/machines`;
  const before = new Set(await names(directory));
  const seen = new Set<string>();
  const look = async (): Promise<void> => {
    for (const name of await names(directory)) if (!before.has(name)) seen.add(name);
  };
  const timer = setInterval(() => void look(), 2);
  try {
    await act();
  } finally {
    clearInterval(timer);
    await look();
  }
  return [...seen];
}

const settings = [
  "/proc/sys/kernel/core_pattern",
  "/proc/sys/kernel/hostname",
  "/proc/sys/kernel/domainname",
  "/proc/sys/kernel/modprobe",
  "/proc/sys/kernel/randomize_va_space",
  "/proc/sys/kernel/unprivileged_bpf_disabled",
  "/proc/sys/kernel/yama/ptrace_scope",
  "/proc/sys/vm/overcommit_memory",
  "/proc/sys/vm/drop_caches",
  "/proc/sys/net/ipv4/ip_forward",
  "/proc/sys/fs/binfmt_misc/status",
  "/sys/kernel/uevent_helper",
  "/sys/fs/cgroup/memory/release_agent",
];

async function kernelSettings(): Promise<Readonly<Record<string, string>>> {
  const values: Record<string, string> = {};
  for (const path of settings) values[path] = await text(path);
  values["modules"] = (await text("/proc/modules"))
    .split("\n")
    .map((line) => line.split(" ")[0])
    .toSorted((one, other) => one?.localeCompare(other ?? "") ?? 0)
    .join(" ");
  return values;
}
