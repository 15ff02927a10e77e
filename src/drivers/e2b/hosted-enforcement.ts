import type { Enforcement, EnforcementReport } from "../../core/enforcement.ts";
import { defaultResources } from "../../core/options.ts";
import type { Lease, Resources, SandboxSpec } from "../../core/spec.ts";
import { egressFields } from "./egress.ts";
import type { Settings } from "./options.ts";
import { keptAtEnd, refuseWhatNoServiceTakes, unsupported } from "./refusals.ts";

const limitNames = ["cpus", "memoryMiB", "diskMiB", "pids", "openFiles"] as const;
const notTold = "the service does not tell";

/** What E2B's service is trusted for. Throws `unsupported`, with the field, for what it cannot be told. */
export function hostedEnforcement(spec: SandboxSpec, settings: Settings): EnforcementReport {
  refuseWhatNoServiceTakes(spec);
  refuseLimits(spec.resources);
  const { allow_internet_access: isOpen, network } = egressFields(spec.egress);
  return [
    ...limitNames.map((name): Enforcement => ({
      option: `resources.${name}`,
      value: "as the template has it, and not as a number here",
      by: "the service",
      where: "service",
    })),
    ...leaseRows(spec.lease, settings),
    {
      option: "egress",
      value: !isOpen
        ? "nothing leaves"
        : network === undefined
          ? "everything leaves"
          : [
              `allowed: ${(network.allowOut ?? ["everything else"]).join(", ")}`,
              `denied: ${network.denyOut.join(", ")}`,
            ].join("; "),
      by: "the service's gateway",
      where: "service",
    },
    ...["sudo", "seccomp", "userNamespace", "capabilities", "devices"].map(
      (option): Enforcement => ({
        option,
        value: `not said here: ${notTold}`,
        by: "the service, which isolates by virtual machines",
        where: "service",
      }),
    ),
  ];
}

/** Limits belong to the template. The library's own defaults, and 0 for what was not told, count as not asked for. */
function refuseLimits(resources: Resources): void {
  for (const name of limitNames) {
    const wanted = resources[name];
    if (wanted === defaultResources[name] || wanted === 0) continue;
    throw unsupported(
      `resources.${name}`,
      "the service takes limits from the template alone",
      "leave it out, and name a template that has it",
    );
  }
}

function leaseRows(lease: Lease, { leaseMs }: Settings): readonly Enforcement[] {
  const { lifetimeMs, idleTimeoutMs, detached } = lease;
  if (detached && idleTimeoutMs > 0)
    throw unsupported(
      "idleTimeoutMs",
      "the service has none, and the client of a detached sandbox may be gone",
      "say 0, or leave out detached",
    );
  if (keptAtEnd(lease) !== undefined && !detached)
    throw unsupported(
      "atLifetimeEnd",
      "the service would pause, and not end, a sandbox whose client has crashed",
      "say detached, or leave it out",
    );
  return [
    {
      option: "lifetimeMs",
      value: `${lifetimeMs} ms from its start`,
      by: detached ? "the service's clock" : "this process's clock",
      where: "service",
      ...(detached ? {} : { note: `the service's clock ends it ${leaseMs} ms after this process` }),
    },
    {
      option: "idleTimeoutMs",
      value: idleTimeoutMs === 0 ? "none was asked for" : `${idleTimeoutMs} ms without a use`,
      by: "this process's clock and its count of uses",
      where: idleTimeoutMs === 0 ? "none" : "service",
      note: "uses by others are not seen",
    },
    {
      option: "detached",
      value: detached ? "outlives its maker" : `ends ${leaseMs} ms after its maker`,
      by: detached ? "the service" : "a short time-out at the service, which this process renews",
      where: "service",
    },
  ];
}
