import type { Driver } from "../../core/driver.ts";
import { sharedMemory, terminals } from "../oci/bundle.ts";
import { ociDriver, type OciOptions } from "../oci/driver.ts";
import type { ContainerConfig, ContainerFacts, Preset, RuntimeCall } from "../oci/preset.ts";
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
    "--detach",
    "--pid-file",
    call.places.pidFile,
    "--pass-fd",
    "3:3",
    "--bundle",
    call.places.bundle,
    call.places.id,
  ],
  remove: (call) => [...globalOptions(call), "delete", "--force", call.places.id],
  notes: ["platform systrap"],
  inspect: async () => undefined,
  enforcement: gvisorEnforcement,
};

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
