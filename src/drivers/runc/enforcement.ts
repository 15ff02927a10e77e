import type { Enforcement } from "../../core/enforcement.ts";
import type { SandboxSpec } from "../../core/spec.ts";
import type { SharedMechanisms } from "../oci/preset.ts";
import { conditionalCalls, parseSeccomp } from "../local/seccomp.ts";
import { allowedCalls } from "../local/system-calls.ts";

/** What runC and the host's kernel do. Throws `invalid` for a seccomp profile that is none. */
export function runcEnforcement(
  spec: SandboxSpec,
  { resources, pidsFile }: SharedMechanisms,
): readonly Enforcement[] {
  return [
    {
      option: "resources.pids",
      value: `${resources.pids} processes and threads`,
      by: pidsFile,
      where: "host",
      note: "the agent's own threads count",
    },
    {
      option: "resources.openFiles",
      value: `${resources.openFiles} for each process`,
      by: "RLIMIT_NOFILE, soft and hard",
      where: "host",
    },
    seccomp(spec),
    {
      option: "sudo",
      value: "refused",
      by: "no_new_privs, and an empty capability bounding set",
      where: "host",
    },
    pause,
    {
      option: "userNamespace",
      value: "own, with 65536 ids that no other sandbox has",
      by: "user namespace and id-mapped layers; root inside is nobody on the host",
      where: "host",
    },
    {
      option: "capabilities",
      value: "none, for root's commands too",
      by: "empty bounding, inheritable and ambient sets; the agent keeps a few in its own namespace",
      where: "host",
    },
    {
      option: "noNewPrivileges",
      value: "set",
      by: "PR_SET_NO_NEW_PRIVS, inherited from the agent",
      where: "host",
    },
    {
      option: "newNamespaces",
      value: "none",
      by: "user.max_*_namespaces 0 in the sandbox's user namespace, and the seccomp profile",
      where: "host",
    },
    {
      option: "kernelPaths",
      value: "masked or read-only; no /sys",
      by: "mounts over /proc that only the host could take off",
      where: "host",
    },
  ];
}

const pause: Enforcement = {
  option: "pause",
  value: "stops every process where it is, or ends all and keeps the files",
  by: "control group freezer, a frozen disk and its digest",
  where: "host",
  note: "memory stays resident until the host restarts; then the files alone come back",
};

function seccomp({ seccomp: profile }: SandboxSpec): Enforcement {
  if (profile === undefined)
    return {
      option: "seccomp",
      value: `the default: ${allowedCalls.length} calls and some forms of ${conditionalCalls.length} more, EPERM for the rest`,
      by: "seccomp filter of the agent and all that it starts",
      where: "host",
    };
  parseSeccomp(profile);
  return {
    option: "seccomp",
    value: "the caller's own profile",
    by: "seccomp filter of the agent and all that it starts",
    where: "host",
    note: "it replaces the default one",
  };
}
