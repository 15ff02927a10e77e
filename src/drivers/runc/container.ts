import { kernelMount, sharedMemory, terminals } from "../oci/bundle.ts";
import type { ContainerConfig, ContainerFacts } from "../oci/preset.ts";
import { defaultSeccomp, parseSeccomp } from "../local/seccomp.ts";
import { maskedPaths, readonlyPaths } from "../local/kernel-paths.ts";

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

/** Beside that of users, which the supervisor makes so that the host counts for no other machine what this one uses. */
const namespaces = ["pid", "mount", "ipc", "uts", "network", "cgroup"];

/** What stands between a machine and the host's kernel. Throws `invalid` for a seccomp profile that is none. */
export function container({ spec, group, userNamespace }: ContainerFacts): ContainerConfig {
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
      namespaces: [...namespaces.map((type) => ({ type })), { type: "user", path: userNamespace }],
      cgroupsPath: `${group}/init`,
      resources: { devices: [{ allow: false, access: "rwm" }] },
      seccomp:
        spec.seccomp === undefined ? defaultSeccomp(process.arch) : parseSeccomp(spec.seccomp),
      maskedPaths,
      readonlyPaths,
    },
  };
}
