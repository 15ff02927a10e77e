import type { Enforcement, EnforcementReport } from "../../core/enforcement.ts";
import type { SandboxSpec } from "../../core/spec.ts";
import { printable } from "../../wire/connect-errors.ts";
import type { ToldDriver, ToldEnforcement } from "../../wire/control/service-answers.ts";
import type { Settings } from "./options.ts";
import { keptAtEnd, refuseWhatNoServiceTakes, unsupported } from "./refusals.ts";

/** What a server of ours says that enforces each option, as far as it knows this spec. */
export function cofferdamEnforcement(
  spec: SandboxSpec,
  behind: ToldDriver,
  settings: Settings,
): EnforcementReport {
  refuseWhatNoServiceTakes(spec);
  if (spec.egress.allowOut.length > 0)
    throw unsupported(
      "egress.allowOut",
      "nothing can leave a sandbox of this service",
      "leave it out",
    );
  if (spec.lease.idleTimeoutMs > 0 && spec.lease.idleTimeoutMs < 1000)
    throw unsupported("idleTimeoutMs", "the service counts from 1000 ms", "give it longer");
  const kept = keptAtEnd(spec.lease);
  if (kept !== undefined && !behind.pauseKeeps.includes(kept))
    throw unsupported(
      "atLifetimeEnd",
      `the pauses of ${behind.name} keep ${behind.pauseKeeps.join(" or ") || "nothing"}`,
      "leave it out, or name what they keep",
    );
  const own = ownValues(spec, settings);
  return behind.enforcement.map((row) => rowOf(row, own));
}

/** The values of this spec; the server's report is about an ordinary one. */
function ownValues(
  { resources, lease }: SandboxSpec,
  { leaseMs }: Settings,
): Readonly<Record<string, string>> {
  const { lifetimeMs, idleTimeoutMs, detached } = lease;
  return {
    "resources.cpus": `${resources.cpus} cores' time`,
    "resources.memoryMiB": `${resources.memoryMiB} MiB, no swap`,
    "resources.diskMiB": `${resources.diskMiB} MiB for all that is written`,
    "resources.pids": `${resources.pids} processes and threads`,
    "resources.openFiles": `${resources.openFiles} for each process`,
    lifetimeMs: `${lifetimeMs} ms from its start`,
    idleTimeoutMs: idleTimeoutMs === 0 ? "none was asked for" : `${idleTimeoutMs} ms without a use`,
    detached: detached
      ? "outlives its maker"
      : `ends when its maker has not held it for ${leaseMs} ms`,
  };
}

function rowOf(
  { option, value, by, where, note }: ToldEnforcement,
  own: Readonly<Record<string, string>>,
): Enforcement {
  const name = printable(option);
  const said = Object.hasOwn(own, name) ? own[name] : printable(value);
  return {
    option: name,
    value: said ?? printable(value),
    by: name === "detached" ? "the service's clock and this process's calls" : printable(by),
    where: where === "none" ? "none" : "service",
    note: `as the service says: ${printable(note ?? where)}`,
  };
}
