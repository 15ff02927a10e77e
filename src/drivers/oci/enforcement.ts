import { availableParallelism, totalmem } from "node:os";
import type { Enforcement, EnforcementReport } from "../../core/enforcement.ts";
import { SandboxError } from "../../core/errors.ts";
import type { Lease, SandboxSpec } from "../../core/spec.ts";
import { limitFiles } from "./control-groups.ts";
import type { Preset } from "./preset.ts";

/** The smallest share that every host gives: the default sandbox asks for two cores, on hosts with one too. */
const everyHostsCores = 2;

/** What enforces each option of the spec. Throws `unsupported`, with the field, for one that nothing enforces here. */
export function enforcementReport(
  preset: Preset,
  spec: SandboxSpec,
  overridden: readonly string[],
): EnforcementReport {
  refuseWhatThisHostLacks(spec);
  refusePauseThatKeepsLess(preset, spec.lease);
  const { resources, lease } = spec;
  const files = limitFiles();
  const own = preset.enforcement(spec, { resources, pidsFile: files.pids });
  return [
    {
      option: "resources.cpus",
      value: `${resources.cpus} cores' time`,
      by: files.cpu,
      where: "host",
      note: "the runtime's own use counts",
    },
    {
      option: "resources.memoryMiB",
      value: `${resources.memoryMiB} MiB, no swap`,
      by: files.memory,
      where: "host",
      note: "the runtime's own use, files in memory and page cache count",
    },
    {
      option: "resources.diskMiB",
      value: `${resources.diskMiB} MiB for all that is written`,
      by: "ext4 image of that size, loop-mounted as the writable layer of the root",
      where: "host",
    },
    ...own,
    ...leaseRows(lease),
    {
      option: "egress",
      value: "nothing leaves",
      by: "network namespace with loopback alone",
      where: "host",
    },
    {
      option: "devices",
      value: "null, zero, full, random, urandom, tty and terminals of its own",
      by: "file system of its own at /dev, and no right to make device nodes that open one",
      where: "host",
    },
    escapeRow(overridden),
  ];
}

function leaseRows(lease: Lease): readonly Enforcement[] {
  const { lifetimeMs, idleTimeoutMs, detached, atLifetimeEnd = "end" } = lease;
  const kept = atLifetimeEnd === "end" ? "" : `, then it is paused and keeps its ${atLifetimeEnd}`;
  return [
    {
      option: "lifetimeMs",
      value: `${lifetimeMs} ms from its start${kept}`,
      by: "the supervisor's clock",
      where: "host",
    },
    {
      option: "idleTimeoutMs",
      value: idleTimeoutMs === 0 ? "none was asked for" : `${idleTimeoutMs} ms without a use`,
      by: "the supervisor's clock and its count of uses",
      where: idleTimeoutMs === 0 ? "none" : "host",
    },
    {
      option: "detached",
      value: detached ? "outlives its maker" : "ends with its maker",
      by: "the owner's connection to the supervisor",
      where: "host",
    },
  ];
}

function escapeRow(overridden: readonly string[]): Enforcement {
  if (overridden.length === 0)
    return {
      option: "knownEscapes",
      value: "refused",
      by: "the runtime's version against the list of known escapes",
      where: "host",
    };
  return {
    option: "knownEscapes",
    value: `not refused: ${overridden.join(", ")}`,
    by: "allowKnownEscapes overrides the gate",
    where: "none",
    note: "the runtime has escapes that are known",
  };
}

function refusePauseThatKeepsLess({ keeps }: Preset, { atLifetimeEnd = "end" }: Lease): void {
  if (atLifetimeEnd === "end" || keeps.includes(atLifetimeEnd)) return;
  throw unsupported(
    "lease.atLifetimeEnd",
    `no pause of this driver keeps ${atLifetimeEnd}`,
    `ask for ${["end", ...keeps].join(" or ")}`,
  );
}

function refuseWhatThisHostLacks({ resources, egress }: SandboxSpec): void {
  if (egress.allowOut.length > 0)
    throw unsupported(
      "egress.allowOut",
      "nothing can leave a sandbox of this driver",
      "leave it out",
    );
  const cores = Math.max(everyHostsCores, availableParallelism());
  if (resources.cpus > cores)
    throw unsupported("resources.cpus", `this host has ${cores} cores`, `ask for at most ${cores}`);
  const memoryMiB = Math.floor(totalmem() / 1_048_576);
  if (resources.memoryMiB > memoryMiB)
    throw unsupported(
      "resources.memoryMiB",
      `this host has ${memoryMiB} MiB`,
      `ask for at most ${memoryMiB}`,
    );
}

function unsupported(field: string, message: string, mend: string): SandboxError {
  return new SandboxError("unsupported", `${field}: ${message}`, { field, mend });
}
