import type { Capability, Driver } from "../../core/driver.ts";
import type { SandboxSpec } from "../../core/spec.ts";
import { templates } from "../../images/templates.ts";
import { type Registry, listMachines, openMachine, sweepAll, sweeper } from "../local/registry.ts";
import { type Origin, snapshotOrigin, snapshotShelf } from "../local/snapshots.ts";
import { accessOf, createMachine } from "./create.ts";
import type { Engine } from "./engine.ts";
import { enforcementReport } from "./enforcement.ts";
import { probeEngine } from "./probe.ts";

/** Options of a driver of machines with kernels of their own. */
export interface MicrovmOptions {
  /** Where machines, templates, kernels and images are. An absolute path. */
  readonly stateDir: string;
}

/** Every driver of this kind keeps files, and with them snapshots and pauses. */
const capabilities: ReadonlySet<Capability> = new Set(["code", "ports", "pause", "snapshot"]);

/** A driver that starts machines with kernels of their own on this host, without a daemon. */
export function microvmDriver(engine: Engine, { stateDir }: MicrovmOptions): Driver {
  const { name } = engine;
  const ready = templates(stateDir);
  const tidy = sweeper(stateDir);
  const originOf = async (template: string): Promise<Origin> =>
    (await snapshotOrigin(stateDir, name, template)) ?? {
      template: await ready.resolve(template),
      disk: undefined,
      memory: undefined,
    };
  const registry: Registry = {
    driver: name,
    stateDir,
    accessOf: (places, facts) => accessOf(engine, places, { ...facts, own: false }),
  };
  return {
    name,
    isolation: "vm",
    capabilities,
    probe: () => probeEngine(engine, stateDir),
    snapshots: snapshotShelf(stateDir, name),
    enforcement: (spec) => enforcementReport(engine, spec),
    async create(spec, signal) {
      enforcementReport(engine, spec);
      const origin = await originOf(spec.template);
      const found = await engine.find();
      try {
        const sized = sizedAs(spec, origin);
        return await createMachine({ engine, found, stateDir, spec: sized, signal, origin });
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

/** A snapshot's disk has its own size. */
function sizedAs(spec: SandboxSpec, { disk }: Origin): SandboxSpec {
  if (disk === undefined) return spec;
  return { ...spec, resources: { ...spec.resources, diskMiB: disk.sizeMiB } };
}
