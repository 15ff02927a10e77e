import type { Capability } from "../../core/driver.ts";
import { SandboxError } from "../../core/errors.ts";
import type { SandboxSpec } from "../../core/spec.ts";
import {
  type MadeSandbox,
  type ToldDriver,
  madeSandbox,
  ownDrivers,
  ownMetrics,
} from "../../wire/control/service-answers.ts";
import { addressBook } from "./address.ts";
import type { Api } from "./api.ts";
import { findOwn, killSandbox, listSandboxes } from "./calls.ts";
import { cofferdamEnforcement } from "./cofferdam-enforcement.ts";
import { setLifetime } from "./cofferdam-lifetime.ts";
import { snapshotShelf, takeSnapshot } from "./cofferdam-snapshots.ts";
import { heldSandbox } from "./held.ts";
import type { Settings } from "./options.ts";
import { keptAtEnd } from "./refusals.ts";
import { portTunnels } from "./port-tunnel.ts";
import type { Service } from "./service.ts";

/** What of a server's drivers is reached through it. */
const passedOn: readonly Capability[] = ["code", "ports", "pause", "snapshot"];

/** A server of ours. Throws `unauthenticated`, and `invalid` for a driver that is not behind it. */
export async function cofferdamService(
  api: Api,
  given: Settings,
  version: string,
): Promise<Service> {
  const settings = placed(given);
  const { apiUrl, leaseMs } = settings;
  const readDrivers = (): Promise<readonly ToldDriver[]> =>
    api.read({ method: "GET", path: "/cofferdam/v1/drivers" }, ownDrivers, "list of drivers");
  const behind = driverBehind(await readDrivers(), settings.behind);
  const addresses = addressBook(settings, apiUrl.protocol === "https:" ? "https:" : "http:");
  const capabilities = new Set(passedOn.filter((each) => behind.capabilities.includes(each)));
  const hasSnapshots = capabilities.has("snapshot");
  return {
    version: `cofferdam ${version}, ${behind.name} behind it`,
    notes: [`${api.origin} is trusted for all that it says it enforces`, ...openly(settings)],
    capabilities,
    addresses,
    enforcement: (spec) => cofferdamEnforcement(spec, behind, settings),
    check: async () => void (await readDrivers()),
    make: (spec) => make(api, settings, spec),
    find: (id) => findOwn(api, id),
    list: () => listSandboxes(api),
    metrics: (id) =>
      api.read(
        { method: "GET", path: `/cofferdam/v1/sandboxes/${id}/metrics` },
        ownMetrics,
        "reading",
      ),
    openPort: (sandbox) =>
      portTunnels((port) => addresses.addressOf(sandbox, port), sandbox.accessToken),
    keeps: behind.pauseKeeps,
    takeSnapshot: hasSnapshots ? (id, name) => takeSnapshot(api, id, name) : undefined,
    shelf: hasSnapshots ? snapshotShelf(api, settings.behind) : undefined,
    keep: (id, state, lease) =>
      heldSandbox(api, id, { state, leaseMs: lease?.detached === false ? leaseMs : undefined }),
  };
}

/** A server at an address without a name serves sandboxes there, too: none has a host name that others could look up. */
function placed(settings: Settings): Settings {
  const { apiUrl, isPlaced } = settings;
  const isNameless = /^(localhost|[\d.]+|\[.*\])$/.test(apiUrl.hostname);
  return isPlaced || !isNameless ? settings : { ...settings, sandboxUrl: apiUrl };
}

function openly({ apiUrl }: Settings): readonly string[] {
  const isHere = /^(localhost|127\.[\d.]+|\[::1\])$/.test(apiUrl.hostname);
  return apiUrl.protocol === "https:" || isHere
    ? []
    : ["nothing encrypts what is said to the service, the key included"];
}

function driverBehind(drivers: readonly ToldDriver[], wanted: string | undefined): ToldDriver {
  const found = drivers.find(({ name, isDefault }) =>
    wanted === undefined ? isDefault : name === wanted,
  );
  if (found !== undefined) return found;
  const names = drivers.map(({ name }) => name).join(", ");
  const asked = JSON.stringify((wanted ?? "").slice(0, 64));
  throw new SandboxError("invalid", `the service has no driver ${asked}; it has ${names}`, {
    field: "behind",
    mend: "name one of these, or none",
  });
}

async function make(api: Api, settings: Settings, spec: SandboxSpec): Promise<MadeSandbox> {
  const { lifetimeMs, idleTimeoutMs, detached } = spec.lease;
  const kept = keptAtEnd(spec.lease);
  const body = {
    templateID: spec.template,
    timeout: Math.ceil(lifetimeMs / 1000),
    metadata: spec.metadata,
    envVars: spec.envs,
    allow_internet_access: false,
    resources: spec.resources,
    ...(idleTimeoutMs === 0 ? {} : { idleTimeoutMs: Math.ceil(idleTimeoutMs) }),
    ...(detached ? {} : { leaseMs: settings.leaseMs }),
    ...(kept === undefined ? {} : { autoPause: true, autoPauseMemory: kept === "memory" }),
    ...(settings.behind === undefined ? {} : { driver: settings.behind }),
  };
  const call = { method: "POST", path: "/cofferdam/v1/sandboxes", body } as const;
  const made = await api.read(call, madeSandbox, "new sandbox");
  if (lifetimeMs % 1000 !== 0) await exactly(api, made.id, lifetimeMs);
  return made;
}

/** A lifetime that is no whole number of seconds. */
async function exactly(api: Api, id: string, lifetimeMs: number): Promise<void> {
  try {
    await setLifetime(api, id, lifetimeMs);
  } catch (cause) {
    await killSandbox(api, id);
    throw cause;
  }
}
