import type { Enforcement } from "../../core/enforcement.ts";
import type { SandboxSpec } from "../../core/spec.ts";
import { conditionalCalls } from "../local/seccomp.ts";
import { allowedCalls } from "../local/system-calls.ts";

/** Rows for machines whose kernel is the host's. */
export function hostKernelRows({ seccomp }: SandboxSpec): readonly Enforcement[] {
  return [
    {
      option: "seccomp",
      value:
        seccomp === undefined
          ? `the default: ${allowedCalls.length - 1} calls and some forms of ${conditionalCalls.length} more, EPERM for the rest`
          : "the caller's own profile",
      by: "seccomp filter of the agent and all that it starts",
      where: "host",
      ...(seccomp === undefined ? {} : { note: "it replaces the default one" }),
    },
    {
      option: "userNamespace",
      value: "none of its own",
      by: "the Engine, which maps users for all of its containers where it is told to (userns-remap)",
      where: "none",
      note: "root inside is the host's root without a capability, unless the Engine remaps users; the probe says which",
    },
    {
      option: "noNewPrivileges",
      value: "set",
      by: "the Engine (no-new-privileges), inherited from the agent",
      where: "host",
    },
    {
      option: "newNamespaces",
      value: "none",
      by: "the seccomp profile",
      where: "host",
    },
    {
      option: "kernelPaths",
      value: "masked or read-only; no /sys",
      by: "the Engine's mounts over /proc and /sys",
      where: "host",
    },
  ];
}

/** Rows for machines with a kernel of their own, which the runtime makes. */
export function guestKernelRows(kernel: string): readonly Enforcement[] {
  return [
    {
      option: "seccomp",
      value: "none of the caller's",
      by: "the runtime's own filter around its processes on the host",
      where: "host",
      note: "the guest's calls do not reach the host's kernel",
    },
    {
      option: "userNamespace",
      value: "none of its own in the guest",
      by: `root inside is root of ${kernel} alone`,
      where: "guest-kernel",
    },
    {
      option: "systemCalls",
      value: `answered by ${kernel}`,
      by: "the runtime that the Engine was asked for; the probe looks at its kernel",
      where: "host",
    },
  ];
}
