import { patient } from "./patience.ts";
import type { EgressPolicy, Lease, Resources, SandboxSpec } from "../core/spec.ts";

/** What a case changes of the suite's ordinary sandbox. */
export interface SpecOverrides {
  readonly id?: string;
  readonly template?: string;
  readonly resources?: Partial<Resources>;
  readonly lease?: Partial<Lease>;
  readonly egress?: Partial<EgressPolicy>;
  readonly envs?: Readonly<Record<string, string>>;
  readonly metadata?: Readonly<Record<string, string>>;
  readonly seccomp?: SandboxSpec["seccomp"];
}

/** How long an ordinary sandbox may exist unless a case may take longer. Milliseconds. */
export const ordinaryLifetimeMs = 300_000;

const ordinary: SandboxSpec = {
  template: "base",
  resources: { cpus: 1, memoryMiB: 512, diskMiB: 512, pids: 256, openFiles: 1024 },
  lease: { lifetimeMs: ordinaryLifetimeMs, idleTimeoutMs: 0, detached: false },
  egress: { allowOut: [], denyOut: [] },
  envs: {},
  metadata: {},
  seccomp: undefined,
};

/** The suite's ordinary sandbox with a case's changes: one core, 512 MiB, five minutes, nothing leaves. */
export function sandboxSpec(overrides: SpecOverrides = {}): SandboxSpec {
  return {
    ...(overrides.id === undefined ? {} : { id: overrides.id }),
    template: overrides.template ?? ordinary.template,
    resources: { ...ordinary.resources, ...overrides.resources },
    lease: {
      ...ordinary.lease,
      lifetimeMs: patient(ordinaryLifetimeMs),
      ...overrides.lease,
    },
    egress: { ...ordinary.egress, ...overrides.egress },
    envs: overrides.envs ?? ordinary.envs,
    metadata: overrides.metadata ?? ordinary.metadata,
    seccomp: overrides.seccomp,
  };
}
