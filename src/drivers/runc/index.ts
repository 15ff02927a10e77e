import type { Driver } from "../../core/driver.ts";
import { kernelMount, sharedMemory, terminals } from "../oci/bundle.ts";
import { ociDriver, type OciOptions } from "../oci/driver.ts";
import type { ContainerConfig, ContainerFacts, Preset } from "../oci/preset.ts";
import { defaultSeccomp, parseSeccomp } from "../oci/seccomp.ts";
import { runcEnforcement } from "./enforcement.ts";
import { requireNoNewNamespaces } from "./inspect.ts";
import { maskedPaths, readonlyPaths } from "./kernel-paths.ts";

/** What the agent works with. It empties its bounding set before it starts anything, so that no other process has any. */
const agentCapabilities = [
  "CAP_CHOWN",
  "CAP_DAC_OVERRIDE",
  "CAP_FOWNER",
  "CAP_FSETID",
  "CAP_KILL",
  "CAP_SETPCAP",
  "CAP_SETGID",
  "CAP_SETUID",
  "CAP_SYS_PTRACE",
  "CAP_SYS_RESOURCE",
];

const namespaces = ["pid", "mount", "ipc", "uts", "network", "cgroup", "user"];

const preset: Preset = {
  name: "runc",
  isolation: "container",
  program: {
    candidates: ["/opt/cofferdam/runc/runc", "runc"],
    version: /^runc version (\S+)/m,
    mend: "npm run setup",
  },
  mapsIds: true,
  commandGroups: "fd",
  noNewPrivileges: true,
  sudo: false,
  hostPids: (pids) => pids,
  container,
  start: ({ program, places }) => [
    program,
    "--root",
    places.runtime,
    "--log",
    places.runtimeLog,
    "run",
    "--detach",
    "--pid-file",
    places.pidFile,
    "--preserve-fds",
    "1",
    "--bundle",
    places.bundle,
    places.id,
  ],
  remove: ({ program, places }) => [
    program,
    "--root",
    places.runtime,
    "delete",
    "--force",
    places.id,
  ],
  notes: ["refuses sudo: root inside has no capability"],
  inspect: requireNoNewNamespaces,
  enforcement: runcEnforcement,
};

function container({ spec, idRange, group }: ContainerFacts): ContainerConfig {
  const ids =
    idRange === undefined ? [] : [{ containerID: 0, hostID: idRange.hostId, size: idRange.size }];
  return {
    process: {
      noNewPrivileges: true,
      capabilities: {
        bounding: agentCapabilities,
        permitted: agentCapabilities,
        effective: agentCapabilities,
      },
    },
    mounts: [
      kernelMount("/proc", "proc", ["nodev"]),
      {
        destination: "/dev",
        type: "tmpfs",
        source: "tmpfs",
        options: ["nosuid", "mode=755", "size=64k"],
      },
      terminals,
      sharedMemory(spec.resources.memoryMiB),
      kernelMount("/dev/mqueue", "mqueue", ["nodev"]),
    ],
    linux: {
      namespaces: namespaces.map((type) => ({ type })),
      uidMappings: ids,
      gidMappings: ids,
      cgroupsPath: `${group}/init`,
      resources: { devices: [{ allow: false, access: "rwm" }] },
      seccomp:
        spec.seccomp === undefined ? defaultSeccomp(process.arch) : parseSeccomp(spec.seccomp),
      maskedPaths,
      readonlyPaths,
    },
  };
}

/** Containers by runC: the host's kernel, with namespaces, a filter and no capability between. */
export function runc(options: OciOptions): Driver {
  return ociDriver(preset, options);
}
