import type { Driver } from "../../core/driver.ts";
import { SandboxError } from "../../core/errors.ts";
import { engineDriver } from "../engine/driver.ts";
import type { Engine } from "../engine/engine.ts";
import { guestKernelRows } from "../engine/kernel-rows.ts";
import { type EngineOptions, engineSettings } from "../engine/options.ts";
import type { ChosenRuntime, Preset } from "../engine/preset.ts";
import { runtimeFinder } from "../local/runtime.ts";

/** The shim's own name first, then those by which Kata has been registered. */
const names = [
  "io.containerd.kata.v2",
  "kata",
  "kata-runtime",
  "kata-qemu",
  "kata-clh",
  "kata-fc",
  "kata-dragonball",
];

const program = {
  candidates: [
    "containerd-shim-kata-v2",
    "/opt/kata/bin/containerd-shim-kata-v2",
    "kata-runtime",
    "/opt/kata/bin/kata-runtime",
  ],
  version: /(?:version:?|kata-runtime +:)\s*v?(\d+\.\d+\.\d+\S*)/i,
  mend: "install Kata Containers 3.31 or newer (https://katacontainers.io) and register it in the Engine's daemon.json",
};

/** Threads of a virtual machine's monitor beside the guest's, which its own kernel counts. */
const ownThreads = 512;

/**
 * Virtual machines by Kata Containers, through an Engine.
 *
 * The Engine hands no annotation on, so nothing of a sandbox's can change Kata's configuration.
 */
export function kata(options: EngineOptions): Driver {
  const settings = engineSettings(options);
  const { runtime, allowKnownEscapes } = settings;
  const find = runtimeFinder({ driver: "kata", program, allowKnownEscapes });
  const preset: Preset = {
    name: "kata",
    isolation: "vm",
    sharesKernel: false,
    hostPids: () => ownThreads,
    async runtimeOf(engine): Promise<ChosenRuntime> {
      const name = registeredName(engine, runtime);
      const { version, path, overridden } = await find();
      return { name, version, notes: [path], overridden };
    },
    enforcement: () => guestKernelRows("the virtual machine's kernel"),
  };
  return engineDriver(preset, settings);
}

function registeredName({ runtimes }: Engine, asked: string | undefined): string {
  const wanted = asked === undefined ? names : [asked];
  const found = wanted.find((name) => Object.hasOwn(runtimes, name));
  if (found !== undefined) return found;
  throw new SandboxError("unavailable", `the Engine has no runtime ${wanted.join(", ")}`, {
    field: "runtime",
    mend: program.mend,
  });
}
