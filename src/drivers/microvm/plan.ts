import type { SandboxSpec } from "../../core/spec.ts";
import type { IdRange } from "../local/id-ranges.ts";
import { type MachinePlaces, controlGroup, mountPoint } from "../local/layout.ts";
import type { Origin } from "../local/snapshots.ts";
import { machineSetup } from "../local/setup.ts";
import type { Vessel } from "./engine.ts";
import type { GuestFiles } from "./guest-files.ts";

/** All that a machine is made from. */
export interface MachineParts {
  readonly driver: string;
  readonly spec: SandboxSpec;
  readonly places: MachinePlaces;
  readonly vessel: Vessel;
  readonly guest: GuestFiles;
  /** Directories of the layers, topmost first. */
  readonly directories: readonly string[];
  readonly template: Origin["template"] | undefined;
  readonly disk: { readonly blank: string; readonly sizeMiB: number; readonly digest: string };
  readonly idRange: IdRange;
}

const ownerGraceMs = 15_000;
/** An emulated processor on a busy host is slow. */
const startTimeoutMs = 120_000;

/** The page from which the supervisor makes the machine; docs/decisions/0004 and 0018 say what each field means. */
export function machinePlan(parts: MachineParts): Readonly<Record<string, unknown>> {
  const { driver, spec, places, template, disk, directories } = parts;
  const { lease } = spec;
  return {
    version: 1,
    id: places.id,
    driver,
    stateDir: places.stateDir,
    directory: places.directory,
    root: { mountPoint, lower: directories, disk, idMap: null },
    ...enginePlan(parts),
    setup: machineSetup({
      places,
      spec,
      template,
      facts: { cgroup: "fd", noNewPrivileges: false, sudo: true },
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

type EngineParts = Pick<MachineParts, "places" | "spec" | "vessel" | "idRange">;

/** The parts of a plan that are made anew when a machine boots again. */
export function enginePlan({
  places,
  spec,
  vessel,
  idRange,
}: EngineParts): Readonly<Record<string, unknown>> {
  const { resources } = spec;
  return {
    cgroup: {
      name: controlGroup(places.stateDir, places.id),
      limits: {
        memoryMiB: resources.memoryMiB + vessel.overheadMiB,
        cpus: resources.cpus,
        pids: vessel.threads,
      },
      perCommand: false,
    },
    runtime: {
      start: vessel.start,
      pidFile: vessel.pidFile,
      remove: vessel.remove,
      environment: { PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" },
      log: places.runtimeLog,
      limits: null,
    },
    vessel: {
      memoryMiB: resources.memoryMiB,
      hostId: idRange.hostId,
      groups: vessel.groups,
      jail: vessel.jail,
      own: vessel.own,
      files: vessel.files,
      stream: { path: "", port: 0, ...vessel.stream },
      calls: vessel.calls,
      order: { layers: vessel.disks.layers, disk: vessel.disks.writable },
    },
  };
}
