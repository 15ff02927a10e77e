import type { Enforcement } from "../../core/enforcement.ts";
import type { SandboxSpec } from "../../core/spec.ts";
import type { SharedMechanisms } from "../oci/preset.ts";
import { parseSeccomp } from "../local/seccomp.ts";

/** What gVisor and the host do. Throws `invalid` for a seccomp profile that is none. */
export function gvisorEnforcement(
  spec: SandboxSpec,
  { resources, pidsFile }: SharedMechanisms,
): readonly Enforcement[] {
  return [
    {
      option: "resources.pids",
      value: `${resources.pids} processes and threads`,
      by: "RLIMIT_NPROC and pids.max of gVisor's own kernel, and the agent, which ends what is beyond",
      where: "guest-kernel",
      note: `${pidsFile} on the host holds gVisor as a whole`,
    },
    {
      option: "resources.openFiles",
      value: `${resources.openFiles} for each process`,
      by: "RLIMIT_NOFILE of gVisor's own kernel",
      where: "guest-kernel",
    },
    seccomp(spec),
    pause,
    {
      option: "sudo",
      value: "works, as in a virtual machine",
      by: "the agent, as gVisor runs no set-user-ID program; root is root of gVisor's own kernel alone",
      where: "guest-kernel",
    },
    {
      option: "userNamespace",
      value: "gVisor's own processes run in one",
      by: "runsc, whose kernel has no capability outside it, an empty root and a seccomp filter",
      where: "host",
    },
    {
      option: "capabilities",
      value: "none for the user, all of gVisor's own kernel for root",
      by: "gVisor's own kernel",
      where: "guest-kernel",
    },
    {
      option: "noNewPrivileges",
      value: "not set in the guest, so that sudo works",
      by: "nothing inside; on the host gVisor's own processes have it set",
      where: "none",
    },
    {
      option: "systemCalls",
      value: "answered by gVisor's own kernel",
      by: "systrap, and a seccomp filter around gVisor's own processes",
      where: "host",
    },
  ];
}

const pause: Enforcement = {
  option: "pause",
  value: "brings gVisor's kernel and all in it to the disk, or ends all and keeps the files",
  by: "runsc checkpoint, a frozen disk, and a digest of both",
  where: "host",
  note: "the same version of runsc alone restores it; what it cannot bring to a disk, as an open file that was removed, stays in memory until the host restarts; files that come back alone are without FIFOs and sockets",
};

function seccomp({ seccomp: profile }: SandboxSpec): Enforcement {
  if (profile === undefined)
    return {
      option: "seccomp",
      value: "gVisor's own, around its kernel",
      by: "seccomp filter of gVisor's processes on the host",
      where: "host",
      note: "the guest's calls do not reach the host's kernel",
    };
  parseSeccomp(profile);
  return {
    option: "seccomp",
    value: "the caller's own profile",
    by: "gVisor's own kernel (--oci-seccomp)",
    where: "guest-kernel",
    note: "gVisor's own filter is in force on the host as well",
  };
}
