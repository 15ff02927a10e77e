import type { SandboxSpec } from "../../core/spec.ts";
import type { MachineMetrics } from "../../core/driver.ts";
import { SandboxError } from "../../core/errors.ts";
import { type MadeSandbox, madeSandbox, toldMetrics } from "../../wire/control/service-answers.ts";
import { addressBook } from "./address.ts";
import type { Api } from "./api.ts";
import { findSandbox, listSandboxes } from "./calls.ts";
import { egressFields } from "./egress.ts";
import { hostedEnforcement } from "./hosted-enforcement.ts";
import type { Settings } from "./options.ts";
import { keptAtEnd, unsupported } from "./refusals.ts";
import { renewedSandbox } from "./renewed.ts";
import type { Service } from "./service.ts";

/** E2B itself, or another service that speaks its protocol and no more. Throws `unsupported` for a driver behind it. */
export function hostedService(api: Api, settings: Settings): Service {
  if (settings.behind !== undefined)
    throw unsupported("behind", "the service is no Cofferdam: it has no drivers", "leave it out");
  return {
    version: `E2B's protocol, version 2, at ${api.origin}`,
    notes: ["the service is trusted for the isolation of its sandboxes"],
    capabilities: new Set(["code", "egress", "pause"]),
    addresses: addressBook(settings, "https:"),
    enforcement: (spec) => hostedEnforcement(spec, settings),
    check: async () => void (await listSandboxes(api).next()),
    make: (spec) => make(api, settings, spec),
    find: (id) => findSandbox(api, id),
    list: () => listSandboxes(api),
    metrics: (id) => metrics(api, id),
    openPort: undefined,
    keeps: ["memory", "files"],
    takeSnapshot: undefined,
    shelf: undefined,
    keep: (id, state, lease) =>
      renewedSandbox(api, id, { state, lease, leaseMs: settings.leaseMs }),
  };
}

async function make(api: Api, settings: Settings, spec: SandboxSpec): Promise<MadeSandbox> {
  const { lifetimeMs, detached } = spec.lease;
  const kept = keptAtEnd(spec.lease);
  const rightsMs = detached ? lifetimeMs : Math.min(lifetimeMs, settings.leaseMs);
  const body = {
    templateID: spec.template,
    timeout: Math.ceil(rightsMs / 1000),
    metadata: spec.metadata,
    envVars: spec.envs,
    ...(kept === undefined ? {} : { autoPause: true, autoPauseMemory: kept === "memory" }),
    ...egressFields(spec.egress),
  };
  return api.read({ method: "POST", path: "/v2/sandboxes", body }, madeSandbox, "new sandbox");
}

async function metrics(api: Api, id: string): Promise<MachineMetrics> {
  const path = `/sandboxes/${id}/metrics`;
  const readings = await api.read({ method: "GET", path }, toldMetrics, "list of readings");
  const last = readings.at(-1);
  if (last !== undefined) return last;
  throw new SandboxError("unavailable", "the service has no reading of the sandbox yet", {
    mend: "ask again in some seconds",
  });
}
