import { availableParallelism, totalmem } from "node:os";
import type { Enforcement } from "../../core/enforcement.ts";
import { SandboxError } from "../../core/errors.ts";
import type { Kept } from "../../core/kept.ts";
import type { Lease, SandboxSpec } from "../../core/spec.ts";

/** The smallest share that every host gives: the default sandbox asks for two cores, on hosts with one too. */
const everyHostsCores = 2;

/** What holds a lease, by its options. */
export function leaseRows(lease: Lease): readonly Enforcement[] {
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

/** Whether runtimes with known escapes are used. */
export function escapeRow(overridden: readonly string[]): Enforcement {
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

/** Throws `unsupported` for a lease whose end keeps what no pause of the driver does. */
export function refusePauseThatKeepsLess(
  keeps: readonly Kept[],
  { atLifetimeEnd = "end" }: Lease,
): void {
  if (atLifetimeEnd === "end" || keeps.includes(atLifetimeEnd)) return;
  throw unsupported(
    "lease.atLifetimeEnd",
    `no pause of this driver keeps ${atLifetimeEnd}`,
    `ask for ${["end", ...keeps].join(" or ")}`,
  );
}

/** Throws `unsupported`, with the field, for what is more than this host has. */
export function refuseWhatThisHostLacks({ resources, egress }: SandboxSpec): void {
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

export function unsupported(field: string, message: string, mend: string): SandboxError {
  return new SandboxError("unsupported", `${field}: ${message}`, { field, mend });
}
