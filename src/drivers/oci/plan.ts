import type { SandboxSpec } from "../../core/spec.ts";
import type { Template } from "../../images/templates.ts";
import type { IdRange } from "../local/id-ranges.ts";
import { type MachinePlaces, controlGroup, mountPoint } from "../local/layout.ts";
import type { Preset } from "./preset.ts";
import { processLimits } from "../local/process-limits.ts";
import { machineSetup } from "../local/setup.ts";
import type { KeptMemory } from "../local/kept-memory.ts";
import type { Runtime } from "../local/runtime.ts";

/** All that a machine is made from. */
export interface MachineParts {
  readonly spec: SandboxSpec;
  readonly places: MachinePlaces;
  readonly runtime: Pick<Runtime, "path" | "version">;
  readonly guestLayer: string;
  /** `undefined`: a machine that holds the guest layer alone, as a probe starts it. */
  readonly template: Template | undefined;
  /** What the disk is a copy of; its digest, where somebody noted it, else empty. */
  readonly disk: { readonly blank: string; readonly sizeMiB: number; readonly digest: string };
  /** What its kernel begins with; `undefined`: it boots. */
  readonly memory: KeptMemory | undefined;
  readonly idRange: IdRange | undefined;
}

const ownerGraceMs = 15_000;
const startTimeoutMs = 30_000;

/** The page from which the supervisor makes the machine; docs/decisions/0004 says what each field means. */
export function machinePlan(preset: Preset, parts: MachineParts): unknown {
  const { spec, places, idRange, guestLayer, template, runtime } = parts;
  const { resources, lease } = spec;
  const call = { program: runtime.path, places, spec };
  return {
    version: 1,
    id: places.id,
    driver: preset.name,
    stateDir: places.stateDir,
    directory: places.directory,
    root: {
      mountPoint,
      lower: template === undefined ? [guestLayer] : [guestLayer, template.rootfs],
      disk: parts.disk,
      idMap: idRange ?? null,
    },
    memory: parts.memory ?? null,
    cgroup: {
      name: controlGroup(places.stateDir, places.id),
      limits: {
        memoryMiB: resources.memoryMiB,
        cpus: resources.cpus,
        pids: preset.hostPids(resources.pids),
      },
      perCommand: preset.commandGroups === "fd",
    },
    runtime: {
      start: preset.start(call),
      pidFile: places.pidFile,
      remove: preset.remove(call),
      environment: { PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" },
      log: places.runtimeLog,
      limits: idRange === undefined ? null : processLimits(resources),
      version: runtime.version,
      checkpoint: preset.checkpoint?.(call) ?? null,
    },
    setup: machineSetup({
      places,
      spec,
      template,
      facts: {
        cgroup: preset.commandGroups,
        noNewPrivileges: preset.noNewPrivileges,
        sudo: preset.sudo,
      },
    }),
    lease: {
      lifetimeMs: Math.round(lease.lifetimeMs),
      idleTimeoutMs: Math.round(lease.idleTimeoutMs),
      detached: lease.detached,
      ownerGraceMs,
      atLifetimeEnd: lease.atLifetimeEnd === "end" ? "" : (lease.atLifetimeEnd ?? ""),
    },
    startTimeoutMs,
  };
}
