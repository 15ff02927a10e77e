import type { Enforcement, EnforcementReport } from "../../core/enforcement.ts";
import { SandboxError } from "../../core/errors.ts";
import type { SandboxSpec, SeccompProfile } from "../../core/spec.ts";
import {
  escapeRow,
  leaseRows,
  refusePauseThatKeepsLess,
  refuseWhatThisHostLacks,
} from "../local/shared-rows.ts";
import { parseSeccomp } from "../local/seccomp.ts";
import { agentCapabilities } from "./container.ts";
import { writablePlaces } from "./places.ts";
import type { Preset } from "./preset.ts";

/** What enforces each option of the spec. Throws `unsupported`, with the field, for one that nothing enforces here. */
export function enforcementReport(
  preset: Preset,
  spec: SandboxSpec,
  overridden: readonly string[],
): EnforcementReport {
  refuseWhatThisHostLacks(spec);
  refusePauseThatKeepsLess([], spec.lease);
  if (spec.seccomp !== undefined) refuseProfile(preset, spec.seccomp);
  return [
    ...resourceRows(preset, spec),
    ...preset.enforcement(spec),
    ...leaseRows(spec.lease),
    ...privilegeRows,
    escapeRow(overridden),
  ];
}

function resourceRows(preset: Preset, { resources }: SandboxSpec): readonly Enforcement[] {
  const { cpus, memoryMiB, diskMiB, pids, openFiles } = resources;
  const places = writablePlaces.map(({ path }) => path).join(", ");
  return [
    {
      option: "resources.cpus",
      value: `${cpus} cores' time`,
      by: "the container's control group (CpuQuota)",
      where: "host",
    },
    {
      option: "resources.memoryMiB",
      value: `${memoryMiB} MiB, no swap`,
      by: "the container's control group (Memory, MemorySwap)",
      where: "host",
      note: "what is written counts, as it is kept in memory; what waits in sockets does in control groups of version 2 alone",
    },
    {
      option: "resources.diskMiB",
      value: `${diskMiB} MiB, divided among ${places}`,
      by: "file systems in memory of fixed sizes; everything else is read-only",
      where: "host",
      note: "it counts against memoryMiB, which is reached first where it is smaller",
    },
    {
      option: "resources.pids",
      value: `${pids} processes and threads`,
      by: "the container's control group (PidsLimit)",
      where: "host",
      ...(preset.hostPids(pids) === pids ? {} : { note: "with room for the runtime's own" }),
    },
    {
      option: "resources.openFiles",
      value: `${openFiles} for each process`,
      by: "RLIMIT_NOFILE, soft and hard",
      where: preset.sharesKernel ? "host" : "guest-kernel",
    },
  ];
}

const privilegeRows: readonly Enforcement[] = [
  {
    option: "egress",
    value: "nothing leaves",
    by: "network namespace with loopback alone (NetworkMode none)",
    where: "host",
  },
  {
    option: "root",
    value: "the image is read-only, and so are the agent and the kernels",
    by: "read-only mounts (ReadonlyRootfs, and a volume)",
    where: "host",
  },
  {
    option: "capabilities",
    value: "none, for root's commands too",
    by: `CapDrop ALL; the agent keeps ${agentCapabilities.length} and hands none on`,
    where: "host",
  },
  {
    option: "sudo",
    value: "refused",
    by: "no_new_privs, and an empty capability bounding set",
    where: "host",
  },
  {
    option: "devices",
    value: "null, zero, full, random, urandom, tty and terminals of its own",
    by: "the Engine's control group of devices",
    where: "host",
  },
  {
    option: "hostAccess",
    value: "no privileged mode, namespace, device, socket or directory of the host",
    by: "the one description that containers are made from, which no option, label or template changes",
    where: "host",
  },
  {
    option: "pause",
    value: "refused",
    by: "the driver has none",
    where: "none",
  },
];

/** Throws `invalid` for what is no profile, `unsupported` where none of the caller's would be in force. */
function refuseProfile({ name, sharesKernel }: Preset, seccomp: SeccompProfile): void {
  parseSeccomp(seccomp);
  if (sharesKernel) return;
  throw new SandboxError(
    "unsupported",
    `seccomp: ${name} cannot have it in force with this runtime`,
    {
      field: "seccomp",
      mend: "leave it out: the guest's calls do not reach the host's kernel",
    },
  );
}
