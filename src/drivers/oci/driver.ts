import type { Availability, Capability, Driver } from "../../core/driver.ts";
import type { SandboxSpec } from "../../core/spec.ts";
import { templates } from "../../images/templates.ts";
import { type Registry, listMachines, openMachine, sweepAll, sweeper } from "../local/registry.ts";
import { type Runtime, runtimeFinder } from "../local/runtime.ts";
import { type Origin, snapshotOrigin, snapshotShelf } from "../local/snapshots.ts";
import { accessOf, createMachine } from "./create.ts";
import { enforcementReport } from "./enforcement.ts";
import { recordOverride } from "../local/override-audit.ts";
import type { Preset } from "./preset.ts";
import { probeDriver } from "./probe.ts";

/** Options of a local driver. */
export interface OciOptions {
  /** Where machines, templates and empty disks are. An absolute path. */
  readonly stateDir: string;
  /** Uses a runtime although it has known escapes; the probe, `enforcement()` and `audit.jsonl` say so. Default `false`. */
  readonly allowKnownEscapes?: boolean;
}

/** A driver that starts machines by an OCI runtime on this host, without a daemon. */
export function ociDriver(preset: Preset, options: OciOptions): Driver {
  const { stateDir, allowKnownEscapes = false } = options;
  const { name, isolation, program } = preset;
  const findRuntime = runtimeFinder({ driver: name, program, allowKnownEscapes });
  const ready = templates(stateDir);
  const tidy = sweeper(stateDir);
  let overridden: readonly string[] = [];
  const usable = async (): Promise<Runtime> => {
    const runtime = await findRuntime();
    ({ overridden } = runtime);
    return runtime;
  };
  const originOf = async (template: string): Promise<Origin> =>
    (await snapshotOrigin(stateDir, name, template)) ?? {
      template: await ready.resolve(template),
      disk: undefined,
      memory: undefined,
    };
  const probe = (): Promise<Availability> => probeDriver({ preset, stateDir, usable });
  const registry: Registry = {
    driver: name,
    stateDir,
    accessOf: (places, facts) => accessOf({ preset, usable }, places, { ...facts, own: false }),
  };
  return {
    name,
    isolation,
    capabilities,
    probe,
    snapshots: snapshotShelf(stateDir, name),
    enforcement: (spec) => enforcementReport(preset, spec, overridden),
    async create(spec, signal) {
      enforcementReport(preset, spec, overridden);
      const [runtime, origin] = await Promise.all([usable(), originOf(spec.template)]);
      const { path, version, overridden: escapes } = runtime;
      if (escapes.length > 0)
        recordOverride(stateDir, { driver: name, runtime: path, version, escapes });
      try {
        return await createMachine({
          preset,
          usable,
          stateDir,
          spec: sizedAs(spec, origin),
          signal,
          runtime,
          origin,
        });
      } finally {
        tidy();
      }
    },
    open: (id) => openMachine(registry, id),
    list: () => {
      tidy();
      return listMachines(registry);
    },
    sweep: () => sweepAll(stateDir),
  };
}

/** Every driver of this kind keeps files, and with them snapshots and pauses. */
const capabilities: ReadonlySet<Capability> = new Set(["code", "ports", "pause", "snapshot"]);

/** A snapshot's disk has its own size. */
function sizedAs(spec: SandboxSpec, { disk }: Origin): SandboxSpec {
  if (disk === undefined) return spec;
  return { ...spec, resources: { ...spec.resources, diskMiB: disk.sizeMiB } };
}
