import type { RawProgram, RawRuntime } from "../bench/raw-runtime.ts";
import { SandboxError } from "../core/errors.ts";
import { rawEngine } from "./raw-engine.ts";
import { runtimeFinder } from "../drivers/local/runtime.ts";

/** How a driver's runtime is called without us. */
interface Call {
  readonly name: string;
  /** Programs in the driver's own order: the raw side measures the program that the driver starts. */
  readonly candidates: readonly string[];
  readonly version: RegExp;
  readonly options: readonly string[];
}

const calls: Readonly<Record<string, Call>> = {
  runc: {
    name: "runc",
    candidates: ["/opt/cofferdam/runc/runc", "runc"],
    version: /^runc version (\S+)/m,
    options: [],
  },
  gvisor: {
    name: "runsc",
    candidates: ["runsc"],
    version: /^runsc version (\S+)/m,
    options: ["--platform=systrap", "--network=none", "--ignore-cgroups", "--overlay2=none"],
  },
};

/** The raw runtime under a driver; `undefined` for a driver that stands on none, or on one that is not installed. */
export async function rawRuntime(
  driver: string,
  rootOf: RawProgram["rootOf"],
): Promise<RawRuntime | undefined> {
  if (driver === "docker") return rawEngine();
  const call = Object.hasOwn(calls, driver) ? calls[driver] : undefined;
  if (call === undefined) return undefined;
  const { name, candidates, version, options } = call;
  try {
    const program = { candidates, version, mend: "" };
    const found = await runtimeFinder({ driver, program, allowKnownEscapes: true })();
    return {
      name,
      version: found.version,
      command: [found.path, ...options],
      stateOption: "--root",
      rootOf,
    };
  } catch (cause) {
    const error = SandboxError.from(cause);
    if (error.code === "unavailable") return undefined;
    throw error;
  }
}
