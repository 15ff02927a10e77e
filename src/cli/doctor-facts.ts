import { access, readFile, stat, statfs } from "node:fs/promises";
import { arch, availableParallelism, freemem, release, totalmem } from "node:os";
import { dirname } from "node:path";
import { engineSocket } from "../drivers/engine/address.ts";
import { SandboxError } from "../core/errors.ts";
import { hostFileError } from "./host-files.ts";
import { readableBytes } from "./table.ts";

/** What a host has, as far as sandboxes care. */
export interface HostFacts {
  readonly kernel: string;
  readonly architecture: string;
  readonly cgroups: "v2" | "v1" | "v1 hybrid" | "none";
  readonly cpus: number;
  readonly memoryBytes: number;
  readonly memoryFreeBytes: number;
  readonly stateDir: string;
  /** Free on the disk that holds the state directory. */
  readonly diskFreeBytes: number;
  readonly userNamespaces: boolean;
  readonly kvm: boolean;
  /** The socket of a Docker Engine, or of what speaks its API; absent: none was found. */
  readonly engine: string | undefined;
  readonly root: boolean;
  readonly node: string;
}

/** Reads the facts. A fact whose file is missing is absent, not an error. */
export async function hostFacts(stateDir: string): Promise<HostFacts> {
  return {
    kernel: release(),
    architecture: arch(),
    cgroups: await cgroupVersion(),
    cpus: availableParallelism(),
    memoryBytes: totalmem(),
    memoryFreeBytes: await memoryFree(),
    stateDir,
    diskFreeBytes: await diskFree(stateDir),
    userNamespaces: Number((await text("/proc/sys/user/max_user_namespaces")) ?? "0") > 0,
    kvm: await usable("/dev/kvm"),
    engine: engineFound(),
    root: process.geteuid?.() === 0,
    node: process.versions.node,
  };
}

function engineFound(): string | undefined {
  try {
    return engineSocket(undefined, process.env);
  } catch (cause) {
    if (cause instanceof SandboxError) return undefined;
    throw cause;
  }
}

async function cgroupVersion(): Promise<HostFacts["cgroups"]> {
  if (await usable("/sys/fs/cgroup/cgroup.controllers")) return "v2";
  const v1 = (await usable("/sys/fs/cgroup/memory")) || (await usable("/sys/fs/cgroup/pids"));
  if (!v1) return "none";
  return (await usable("/sys/fs/cgroup/unified/cgroup.procs")) ? "v1 hybrid" : "v1";
}

async function memoryFree(): Promise<number> {
  const available = /^MemAvailable:\s+(\d+) kB$/m.exec((await text("/proc/meminfo")) ?? "");
  return available === null ? freemem() : Number(available[1]) * 1024;
}

/** Free space where the directory is, or would be. */
async function diskFree(directory: string): Promise<number> {
  const place = await existing(directory);
  const { bavail, bsize } = await statfs(place);
  return bavail * bsize;
}

async function existing(path: string): Promise<string> {
  if (path === "/" || (await isThere(() => stat(path)))) return path;
  return existing(dirname(path));
}

function usable(path: string): Promise<boolean> {
  return isThere(() => access(path));
}

async function isThere(look: () => Promise<unknown>): Promise<boolean> {
  return (await unlessMissing("path", look)) !== missing;
}

async function text(path: string): Promise<string | undefined> {
  const read = await unlessMissing(path, () => readFile(path, "utf8"));
  return read === missing ? undefined : read;
}

const missing = Symbol("missing");

async function unlessMissing<T>(path: string, look: () => Promise<T>): Promise<T | typeof missing> {
  try {
    return await look();
  } catch (cause) {
    const error = hostFileError(path, path, cause);
    if (error instanceof SandboxError && ["not-found", "denied"].includes(error.code))
      return missing;
    throw error;
  }
}

/** The facts as lines for a person. */
export function factsRows(facts: HostFacts): readonly (readonly [string, string])[] {
  return [
    ["kernel", `${facts.kernel} ${facts.architecture}`],
    ["control groups", facts.cgroups],
    ["cpus", String(facts.cpus)],
    ["memory", `${readableBytes(facts.memoryBytes)}, ${readableBytes(facts.memoryFreeBytes)} free`],
    ["state directory", `${facts.stateDir}, ${readableBytes(facts.diskFreeBytes)} free`],
    ["user namespaces", yesOrNo(facts.userNamespaces)],
    ["KVM", yesOrNo(facts.kvm)],
    ["Docker's socket", facts.engine ?? "none found"],
    ["root", yesOrNo(facts.root)],
    ["Node", facts.node],
  ];
}

function yesOrNo(value: boolean): string {
  return value ? "yes" : "no";
}
