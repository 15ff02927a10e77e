import type { ContainerFacts, Preset } from "./preset.ts";
import { mountPoint } from "../local/layout.ts";
import { type ProcessLimits, processLimits } from "../local/process-limits.ts";

const agent = "/.cofferdam/agent";

/** What the agent finds as its environment; nothing of the host's. */
const environment = ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"];

/** Terminals of one machine; the host's kernel has 3072 for all machines together. */
const maxTerminals = 64;

/** The OCI `config.json` of a machine: its first process is the agent, as root of whatever namespace it is in. */
export function bundleConfig(preset: Preset, facts: ContainerFacts): unknown {
  const { process, mounts, linux } = preset.container(facts);
  return {
    ociVersion: "1.0.2",
    hostname: facts.id,
    root: { path: mountPoint, readonly: false },
    process: {
      terminal: false,
      user: { uid: 0, gid: 0 },
      args: preset.checkpoint === undefined ? [agent] : [agent, "-leaves"],
      env: environment,
      cwd: "/",
      // A machine with ids of its own inherits them from its supervisor.
      rlimits: facts.idRange === undefined ? rlimits(processLimits(facts.spec.resources)) : [],
      ...process,
    },
    mounts,
    linux,
  };
}

function rlimits(limits: ProcessLimits): readonly unknown[] {
  return Object.entries({
    RLIMIT_NOFILE: limits.openFiles,
    RLIMIT_CORE: limits.coreBytes,
    RLIMIT_SIGPENDING: limits.pendingSignals,
    RLIMIT_MSGQUEUE: limits.messageQueueBytes,
  }).map(([type, value]) => ({ type, soft: value, hard: value }));
}

/** A mount of a kernel file system, with the options that every one of ours has. */
export function kernelMount(
  destination: string,
  type: string,
  options: readonly string[] = [],
): unknown {
  return { destination, type, source: type, options: ["nosuid", "noexec", ...options] };
}

/** A terminal's own file system, where none of the host's terminals is. */
export const terminals: unknown = kernelMount("/dev/pts", "devpts", [
  "newinstance",
  "ptmxmode=0666",
  "mode=0620",
  "gid=5",
  `max=${maxTerminals}`,
]);

/** Half of the memory, which it counts against, as it is in a machine of one's own. */
export function sharedMemory(memoryMiB: number): unknown {
  return kernelMount("/dev/shm", "tmpfs", [
    "nodev",
    "mode=1777",
    `size=${Math.floor(memoryMiB / 2)}m`,
  ]);
}
