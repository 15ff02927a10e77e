import { createHash } from "node:crypto";
import type { SandboxSpec } from "../../core/spec.ts";
import { maskedPaths, readonlyPaths } from "../local/kernel-paths.ts";
import { processLimits } from "../local/process-limits.ts";
import { defaultSeccomp, parseSeccomp } from "../local/seccomp.ts";
import type { EngineImage } from "./images.ts";
import { guestPlace, partsOfDisk, writablePlaces } from "./places.ts";
import type { Preset } from "./preset.ts";

export interface ContainerParts {
  readonly id: string;
  readonly stateDir: string;
  readonly spec: SandboxSpec;
  readonly image: EngineImage;
  readonly runtime: string | undefined;
  /** The volume with the agent. */
  readonly volume: string;
}

/** What the agent works with. It empties its bounding set before it starts anything, so that no other process has any. */
export const agentCapabilities: readonly string[] = [
  "CHOWN",
  "DAC_OVERRIDE",
  "FOWNER",
  "FSETID",
  "KILL",
  "SETGID",
  "SETPCAP",
  "SETUID",
  "SYS_PTRACE",
];

const periodUsec = 100_000;
const bytesPerMiB = 1_048_576;
/** A file takes no less of its place than this, so that small ones do not fill the kernel's memory. Bytes. */
const leastFileBytes = 4096;

/** By which an Engine knows the machines of a state directory. The supervisor knows the same name. */
export function stateName(stateDir: string): string {
  return createHash("sha256").update(stateDir).digest("hex").slice(0, 16);
}

export function containerName(id: string): string {
  return `cofferdam-${id}`;
}

/**
 * What the Engine is asked to make. All of it stands here: nothing of a template, of metadata or of environment reaches an option
 * of the Engine's.
 */
export function containerBody(preset: Preset, parts: ContainerParts): unknown {
  const { id, stateDir, image } = parts;
  return {
    Image: image.id,
    Hostname: id,
    User: "0:0",
    WorkingDir: "/",
    Entrypoint: [`${guestPlace}/agent`],
    Cmd: ["--stream", "--machine", id],
    Env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
    Labels: { "cofferdam.state": stateName(stateDir), "cofferdam.machine": id },
    Healthcheck: { Test: ["NONE"] },
    StopSignal: "SIGKILL",
    Tty: false,
    OpenStdin: true,
    StdinOnce: true,
    AttachStdin: true,
    AttachStdout: true,
    AttachStderr: true,
    NetworkDisabled: true,
    HostConfig: hostConfig(preset, parts),
  };
}

function hostConfig(preset: Preset, parts: ContainerParts): unknown {
  const { spec, runtime, volume } = parts;
  const { memoryMiB, cpus, pids, diskMiB } = spec.resources;
  const memory = memoryMiB * bytesPerMiB;
  return {
    ...(runtime === undefined ? {} : { Runtime: runtime }),
    AutoRemove: true,
    RestartPolicy: { Name: "no" },
    LogConfig: { Type: "none", Config: {} },
    Init: false,
    Privileged: false,
    PublishAllPorts: false,
    NetworkMode: "none",
    IpcMode: "private",
    PidMode: "",
    UTSMode: "",
    CgroupnsMode: "private",
    ReadonlyRootfs: true,
    Binds: [],
    Devices: [],
    CapDrop: ["ALL"],
    CapAdd: agentCapabilities,
    SecurityOpt: ["no-new-privileges:true", `seccomp=${JSON.stringify(seccompOf(spec))}`],
    MaskedPaths: [...maskedPaths, "/sys"],
    ReadonlyPaths: [...readonlyPaths, "/proc/sys"],
    Memory: memory,
    MemorySwap: memory,
    OomKillDisable: false,
    OomScoreAdj: 100,
    CpuPeriod: periodUsec,
    CpuQuota: Math.round(cpus * periodUsec),
    PidsLimit: preset.hostPids(pids),
    Ulimits: ulimits(spec),
    ShmSize: Math.floor(memory / 2),
    Tmpfs: temporary(diskMiB),
    Mounts: [
      {
        Type: "volume",
        Source: volume,
        Target: guestPlace,
        ReadOnly: true,
        VolumeOptions: { NoCopy: true },
      },
    ],
  };
}

/** Ours lets `clone3` through and relies on a user namespace without others; an Engine's container has none, so here it is not there. */
function seccompOf({ seccomp }: SandboxSpec): unknown {
  return seccomp === undefined
    ? defaultSeccomp(process.arch, { newNamespaces: "by the filter" })
    : parseSeccomp(seccomp);
}

function ulimits({ resources }: SandboxSpec): readonly unknown[] {
  const { openFiles, coreBytes, pendingSignals, messageQueueBytes } = processLimits(resources);
  return Object.entries({
    nofile: openFiles,
    core: coreBytes,
    sigpending: pendingSignals,
    msgqueue: messageQueueBytes,
  }).map(([Name, value]) => ({ Name, Soft: value, Hard: value }));
}

function temporary(diskMiB: number): Readonly<Record<string, string>> {
  return Object.fromEntries(
    writablePlaces.map(({ path, mode, parts }) => {
      const bytes = Math.floor((diskMiB * bytesPerMiB * parts) / partsOfDisk);
      const files = Math.max(64, Math.floor(bytes / leastFileBytes));
      return [path, `rw,exec,nosuid,nodev,mode=${mode},size=${bytes},nr_inodes=${files}`];
    }),
  );
}
