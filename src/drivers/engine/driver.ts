import type { Availability, Driver } from "../../core/driver.ts";
import { type Registry, listMachines, openMachine } from "../local/registry.ts";
import { accessOf } from "./create.ts";
import { enforcementReport } from "./enforcement.ts";
import { machineMaker } from "./maker.ts";
import type { Settings } from "./options.ts";
import type { Preset } from "./preset.ts";
import { probeDriver } from "./probe.ts";
import { sweepAll, sweeper } from "./sweep.ts";

/** A driver that makes machines as containers of an Engine of this host. */
export function engineDriver(preset: Preset, settings: Settings): Driver {
  const tidy = sweeper(settings);
  const maker = machineMaker(preset, settings);
  const registry: Registry = {
    driver: preset.name,
    stateDir: settings.stateDir,
    accessOf: (places, facts) => accessOf(places, { ...facts, own: false }),
  };
  const probe = (): Promise<Availability> =>
    probeDriver({ preset, settings, usable: maker.usable });
  return {
    name: preset.name,
    isolation: preset.isolation,
    capabilities: new Set(["code", "ports"]),
    snapshots: undefined,
    enforcement: (spec) => enforcementReport(preset, spec, maker.overridden),
    probe,
    async create(spec, signal) {
      enforcementReport(preset, spec, maker.overridden);
      try {
        return await maker.make(spec, signal);
      } finally {
        tidy();
      }
    },
    open: (id) => openMachine(registry, id),
    list: () => {
      tidy();
      return listMachines(registry);
    },
    // Of an Engine that does not answer nothing can be given back; it is swept once it does.
    sweep: async () => ((await probe()).ok ? sweepAll(settings) : []),
  };
}
