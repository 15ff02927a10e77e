import type { Driver, Isolation } from "../../core/driver.ts";
import { engineDriver } from "../engine/driver.ts";
import { type EngineOptions, engineSettings } from "../engine/options.ts";
import type { Preset } from "../engine/preset.ts";
import { judgedRuntime } from "../engine/runtime-version.ts";
import { dockerEnforcement } from "./enforcement.ts";
import { guestKernels, isolationOf } from "./kinds.ts";

/** Containers of a Docker Engine, or of what speaks its API, by whichever runtime it has registered. */
export function docker(options: EngineOptions): Driver {
  const settings = engineSettings(options);
  const { runtime, allowKnownEscapes } = settings;
  const isolation: Isolation = isolationOf(runtime);
  const sharesKernel = isolation === "container";
  const preset: Preset = {
    name: "docker",
    isolation,
    sharesKernel,
    hostPids: sharesKernel ? (pids) => pids : guestKernels.hostPids,
    runtimeOf: (engine) => judgedRuntime({ engine, name: runtime, allowKnownEscapes }),
    enforcement: (spec) => dockerEnforcement(spec, isolation),
  };
  return engineDriver(preset, settings);
}
