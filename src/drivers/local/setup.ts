import { randomBytes } from "node:crypto";
import type { SandboxSpec } from "../../core/spec.ts";
import { invalid } from "../../core/validate.ts";
import type { Template } from "../../images/templates.ts";
import type { MachinePlaces } from "./layout.ts";

/** How long the agent lives without a word from its supervisor. */
const agentLeaseMs = 15_000;
/** What fits into one message to the agent, with room for its frame. */
const maxSetupBytes = 60_000;

export interface SetupParts {
  readonly places: MachinePlaces;
  readonly spec: SandboxSpec;
  /** `undefined`: a machine without one, as a probe starts it. */
  readonly template: Template | undefined;
  /** What the agent finds that the driver has made of its machine. */
  readonly facts: {
    readonly cgroup: string;
    readonly noNewPrivileges: boolean;
    readonly sudo: boolean;
  };
}

/** What the agent is told first; docs/decisions/0002. Throws `invalid` for an environment that is too large. */
export function machineSetup({ places, spec, template, facts }: SetupParts): unknown {
  const setup = {
    id: places.id,
    hostname: places.id,
    envs: { ...template?.envs, ...spec.envs },
    defaultUser: template?.defaultUser ?? "root",
    workdir: template?.workdir ?? "",
    accessToken: spec.accessToken ?? randomBytes(24).toString("hex"),
    leaseMs: agentLeaseMs,
    warm: template?.warm ?? [],
    openFiles: spec.resources.openFiles,
    userPids: spec.resources.pids,
    memoryMiB: spec.resources.memoryMiB,
    ...facts,
  };
  const bytes = Buffer.byteLength(JSON.stringify(setup));
  if (bytes <= maxSetupBytes) return setup;
  throw invalid("envs", `the environment has ${bytes} bytes as JSON, more than ${maxSetupBytes}`);
}
