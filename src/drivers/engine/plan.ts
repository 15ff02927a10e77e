import { randomBytes } from "node:crypto";
import { invalid } from "../../core/validate.ts";
import type { MachinePlaces } from "../local/layout.ts";
import { type ContainerParts, containerBody, containerName } from "./container.ts";
import type { Engine } from "./engine.ts";
import { skeletonName, writablePlaces } from "./places.ts";
import type { Preset } from "./preset.ts";

/** All that a machine is made from. */
export interface MachineParts {
  readonly engine: Engine;
  readonly places: MachinePlaces;
  readonly container: ContainerParts;
}

/**
 * How long the agent lives without a word from its supervisor. A supervisor's end closes the agent's input, which is noticed at
 * once, but an Engine's does not; and one that is busy must not count as one that is gone.
 */
const agentLeaseMs = 30_000;
const ownerGraceMs = 15_000;
const startTimeoutMs = 60_000;
/** What fits into one message to the agent, with room for its frame. */
const maxSetupBytes = 60_000;

/** The page from which the supervisor makes the machine; docs/decisions/0020 says what each field means. */
export function machinePlan(preset: Preset, { engine, places, container }: MachineParts): unknown {
  const { resources, lease } = container.spec;
  const { memoryMiB, cpus, diskMiB } = resources;
  return {
    version: 1,
    id: places.id,
    driver: preset.name,
    stateDir: places.stateDir,
    directory: places.directory,
    engine: { socket: engine.socket, api: engine.api.slice(1) },
    container: { name: containerName(places.id), body: containerBody(preset, container) },
    limits: { memoryMiB, cpus, diskMiB },
    setup: machineSetup(preset, container),
    lease: {
      lifetimeMs: Math.round(lease.lifetimeMs),
      idleTimeoutMs: Math.round(lease.idleTimeoutMs),
      detached: lease.detached,
      ownerGraceMs,
      atLifetimeEnd: "",
    },
    startTimeoutMs,
  };
}

function machineSetup(preset: Preset, { id, spec, image }: ContainerParts): unknown {
  const { resources } = spec;
  const setup = {
    id,
    hostname: "",
    envs: { ...image.envs, ...spec.envs },
    defaultUser: image.defaultUser,
    workdir: image.workdir,
    accessToken: spec.accessToken ?? randomBytes(24).toString("hex"),
    leaseMs: agentLeaseMs,
    warm: image.warm,
    openFiles: resources.openFiles,
    userPids: resources.pids,
    memoryMiB: resources.memoryMiB,
    cgroup: "groups",
    noNewPrivileges: preset.sharesKernel,
    sudo: false,
    hostUsers: preset.sharesKernel,
    writable: writablePlaces.map(({ path }) => path),
    skeleton: `/${skeletonName}`,
  };
  const bytes = Buffer.byteLength(JSON.stringify(setup));
  if (bytes <= maxSetupBytes) return setup;
  throw invalid("envs", `the environment has ${bytes} bytes as JSON, more than ${maxSetupBytes}`);
}
