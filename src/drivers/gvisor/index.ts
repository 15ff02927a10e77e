import type { Driver } from "../../core/driver.ts";
import { sharedMemory, terminals } from "../oci/bundle.ts";
import { ociDriver, type OciOptions } from "../oci/driver.ts";
import {
  type CheckpointCalls,
  type ContainerConfig,
  type ContainerFacts,
  type Preset,
  type RuntimeCall,
  memoryWord,
} from "../oci/preset.ts";
import { parseSeccomp } from "../local/seccomp.ts";
import { allCapabilities } from "./capabilities.ts";
import { gvisorEnforcement } from "./enforcement.ts";

const namespaces = ["pid", "mount", "ipc", "uts", "network"];

/** Threads of gVisor itself with room for a guest that is about to be held to its number, and what each of the guest's needs. */
const ownThreads = 1024;
const threadsEach = 3;

const preset: Preset = {
  name: "gvisor",
  isolation: "syscall",
  program: {
    candidates: ["runsc"],
    version: /^runsc version (\S+)/m,
    mend: "npm run setup",
  },
  mapsIds: false,
  keeps: ["memory", "files"],
  commandGroups: "cgroupfs",
  noNewPrivileges: false,
  sudo: true,
  hostPids: (pids) => ownThreads + threadsEach * pids,
  container,
  start: (call) => [
    ...globalOptions(call),
    "run",
    ...machineOptions(call),
    "--pass-fd",
    "3:3",
    call.places.id,
  ],
  checkpoint,
  remove: (call) => [...globalOptions(call), "delete", "--force", call.places.id],
  notes: ["platform systrap"],
  inspect: async () => undefined,
  enforcement: gvisorEnforcement,
};

/** How a machine is started, for the first time or from its memory. */
function machineOptions({ places }: RuntimeCall): readonly string[] {
  return ["--detach", "--pid-file", places.pidFile, "--bundle", places.bundle];
}

/** The memory is not compressed: that would take longer than to write it. */
function checkpoint(call: RuntimeCall): CheckpointCalls {
  const { id } = call.places;
  const options = globalOptions(call);
  const image = ["--image-path", memoryWord];
  const asRoot = ["--user", "0:0", "--cwd", "/"];
  return {
    halt: [...options, "pause", id],
    goOn: [...options, "resume", id],
    save: [...options, "checkpoint", "--leave-running", "--compression=none", ...image, id],
    restore: [...options, "restore", ...machineOptions(call), ...image, id],
    join: [...options, "exec", ...asRoot, "--pass-fd", "3:3", id, "/.cofferdam/agent", "-home"],
  };
}

/** No network, no socket or FIFO of the host, and the control groups that the supervisor has already made. */
function globalOptions({ program, places, spec }: RuntimeCall): [string, ...string[]] {
  return [
    program,
    "--root",
    places.runtime,
    "--platform=systrap",
    "--network=none",
    "--ignore-cgroups",
    "--host-uds=none",
    "--host-fifo=none",
    "--file-access=exclusive",
    "--overlay2=none",
    ...(spec.seccomp === undefined ? [] : ["--oci-seccomp"]),
  ];
}

function container({ spec }: ContainerFacts): ContainerConfig {
  return {
    process: {
      capabilities: {
        bounding: allCapabilities,
        permitted: allCapabilities,
        effective: allCapabilities,
      },
    },
    mounts: [
      { destination: "/proc", type: "proc", source: "proc" },
      terminals,
      sharedMemory(spec.resources.memoryMiB),
    ],
    linux: {
      namespaces: namespaces.map((type) => ({ type })),
      ...(spec.seccomp === undefined ? {} : { seccomp: parseSeccomp(spec.seccomp) }),
    },
  };
}

/** Machines by gVisor: the guest's system calls end in a kernel of its own, which is a process without rights. */
export function gvisor(options: OciOptions): Driver {
  return ociDriver(preset, options);
}
