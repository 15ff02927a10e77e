import type { Enforcement } from "../../core/enforcement.ts";
import type { SandboxSpec } from "../../core/spec.ts";
import { unsupported } from "../local/shared-rows.ts";
import type { FirecrackerOptions } from "./options.ts";

/** What Firecracker and the host do. Throws `unsupported` for a seccomp profile: the guest's calls are its own kernel's. */
export function firecrackerEnforcement(
  { seccomp }: SandboxSpec,
  { seccompFilter, diskRate }: FirecrackerOptions,
): readonly Enforcement[] {
  if (seccomp !== undefined)
    throw unsupported(
      "seccomp",
      "the machine's own kernel answers its calls, and takes no profile from outside",
      "leave it out",
    );
  return [
    {
      option: "seccomp",
      value:
        seccompFilter === undefined
          ? "Firecracker's own, around Firecracker"
          : "the host's, around Firecracker",
      by: "a filter of each of Firecracker's threads",
      where: "host",
      note: "the guest's calls do not reach the host's kernel",
    },
    {
      option: "hypervisor",
      value: "Firecracker under its jailer, as a user that nothing else is, with KVM",
      by: "namespaces of processes, mounts, networks, IPC and host names, a root of its own, and no right of root's",
      where: "host",
    },
    ...rateRows(diskRate),
    {
      option: "pause",
      value: "stops the machine where it is, or ends all in it and keeps the files",
      by: "control group freezer, a disk that the machine's kernel has brought in order, and its digest",
      where: "host",
      note: "memory stays resident until the host restarts; then the files alone come back",
    },
  ];
}

function rateRows(rate: FirecrackerOptions["diskRate"]): readonly Enforcement[] {
  if (rate === undefined) return [];
  const { bytesPerSecond, operationsPerSecond } = rate;
  const parts = [
    ...(bytesPerSecond === undefined ? [] : [`${bytesPerSecond} bytes`]),
    ...(operationsPerSecond === undefined ? [] : [`${operationsPerSecond} operations`]),
  ];
  return [
    {
      option: "diskRate",
      value: `${parts.join(" and ")} a second`,
      by: "Firecracker's rate limiter of the writable disk",
      where: "host",
    },
  ];
}
