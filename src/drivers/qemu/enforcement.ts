import type { Enforcement } from "../../core/enforcement.ts";
import type { SandboxSpec } from "../../core/spec.ts";
import { unsupported } from "../local/shared-rows.ts";

/** What QEMU and the host do. Throws `unsupported` for a seccomp profile: the guest's calls are its own kernel's. */
export function qemuEnforcement({ seccomp }: SandboxSpec): readonly Enforcement[] {
  if (seccomp !== undefined)
    throw unsupported(
      "seccomp",
      "the machine's own kernel answers its calls, and takes no profile from outside",
      "leave it out",
    );
  return [
    {
      option: "seccomp",
      value: "QEMU's own, around QEMU",
      by: "QEMU's sandbox option: no new programs, no rights, no scheduling, no obsolete calls",
      where: "host",
      note: "the guest's calls do not reach the host's kernel",
    },
    {
      option: "hypervisor",
      value: "QEMU, in a root that holds QEMU alone, as a user that nothing else is",
      by: "namespaces of processes, mounts, networks, IPC and host names, and no right of root's",
      where: "host",
      note: "where it emulates the processor, which its probe tells, QEMU's makers do not call that a boundary of security",
    },
    {
      option: "pause",
      value: "stops the machine where it is, or ends all in it and keeps the files",
      by: "control group freezer, a disk that the machine's kernel has brought in order, and its digest",
      where: "host",
      note: "memory stays resident until the host restarts; then the files alone come back",
    },
  ];
}
