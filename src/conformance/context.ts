import { createSandbox } from "../core/create.ts";
import type { Driver, Isolation, Machine } from "../core/driver.ts";
import type { Enforcement } from "../core/enforcement.ts";
import { SandboxError } from "../core/errors.ts";
import type { SandboxOptions } from "../core/options.ts";
import type { Sandbox } from "../core/sandbox.ts";
import type { SandboxSpec } from "../core/spec.ts";

import { hostView, type HostView, type OtherNames } from "./host.ts";
import { NotRun } from "./not-run.ts";
import { otherProcess, type OtherProcess, type ProcessRecipe } from "./other.ts";
import { sandboxSpec, type SpecOverrides } from "./spec.ts";

/** What the runner of the suite knows and the driver does not say. */
export interface SuiteOptions {
  /** Where the driver keeps its machines on this host; undefined: not known, and cases that look there are not run. */
  readonly stateDir?: string;
  /** What stands between a machine and its host's kernel, where the driver only knows that others host it. */
  readonly isolation?: Isolation;
  /** How many times as long as elsewhere a case may take; default 1. */
  readonly patience?: number;
  /** What else machines are called on this host. Default: nothing else. */
  readonly otherNames?: OtherNames;
  /** How another process of this host gets the same driver; undefined: cases that need one are not run. */
  readonly otherProcess?: ProcessRecipe;
}

/** What a case works with. Everything made through it is given back when the case is over, however it ends. */
export interface Context {
  readonly driver: Driver;
  /** What stands between a machine and its host's kernel. */
  readonly isolation: Isolation;
  /** Aborts when the case has taken longer than it may. */
  readonly signal: AbortSignal;
  readonly spec: (overrides?: SpecOverrides) => SandboxSpec;
  /** A machine of the suite's ordinary size, or as the overrides say. */
  readonly create: (overrides?: SpecOverrides) => Promise<Machine>;
  /** A sandbox as users of the library have it; of template `base` unless the options say otherwise. */
  readonly sandbox: (options?: SandboxOptions) => Promise<Sandbox>;
  /** Makes the context the owner of a resource, and returns it. */
  readonly track: <T extends AsyncDisposable>(resource: T) => T;
  /** What this host shows of machines. Skips the case where machines are not on this host. */
  readonly host: () => HostView;
  /** Where the machines of this driver have their directories. Skips the case where that is not known. */
  readonly machineDirectory: () => string;
  /** Runs a program that has the same driver, as `driver`, in another process of this host. */
  readonly elsewhere: (program: string, options?: ElsewhereOptions) => OtherProcess;
  /** An option as `enforcement()` reports it, or undefined when it is not reported. */
  readonly enforced: (option: string) => Enforcement | undefined;
  /** Leaves the case: this host or driver cannot show it. */
  readonly skip: (reason: string) => never;
}

export interface ElsewhereOptions {
  /** Environment of the other process beside its own. */
  readonly envs?: Readonly<Record<string, string>>;
}

export interface OpenContext extends AsyncDisposable {
  readonly context: Context;
  /** Ids of all machines that were made. */
  readonly ids: readonly string[];
}

function machineDirectory({ stateDir }: SuiteOptions): string {
  if (stateDir === undefined) return skip("where its machines are kept is not known");
  return `${stateDir}/machines`;
}

function skip(reason: string): never {
  throw new NotRun(reason);
}

function hostOf({ isolation }: Driver, { stateDir, otherNames }: SuiteOptions): HostView {
  if (isolation === "hosted" && stateDir === undefined)
    return skip("its machines are not on this host");
  return hostView(stateDir, otherNames);
}

/** A context for one case. Disposing it ends what the case left running. */
export function openContext(
  driver: Driver,
  options: SuiteOptions,
  signal: AbortSignal,
): OpenContext {
  const tracked: AsyncDisposable[] = [];
  const ids: string[] = [];
  const track = <T extends AsyncDisposable>(resource: T): T => {
    tracked.push(resource);
    return resource;
  };
  const context: Context = {
    driver,
    isolation: options.isolation ?? driver.isolation,
    signal,
    spec: sandboxSpec,
    track,
    skip,
    create: async (overrides) => {
      const machine = track(await driver.create(sandboxSpec(overrides), signal));
      ids.push(machine.id);
      return machine;
    },
    sandbox: async (settings) => {
      const made = track(await createSandbox(driver, { template: "base", signal, ...settings }));
      ids.push(made.sandboxId);
      return made;
    },
    host: () => hostOf(driver, options),
    machineDirectory: () => machineDirectory(options),
    elsewhere: (program, settings) => {
      if (options.otherProcess === undefined)
        return skip("the runner of the suite starts no other process");
      return track(otherProcess(options.otherProcess, program, settings?.envs ?? {}));
    },
    enforced: (option) => driver.enforcement(sandboxSpec()).find((each) => each.option === option),
  };
  return {
    context,
    ids,
    async [Symbol.asyncDispose]() {
      const failures: unknown[] = [];
      for (const resource of tracked.toReversed()) {
        try {
          await resource[Symbol.asyncDispose]();
        } catch (error) {
          failures.push(error);
        }
      }
      if (failures.length > 0)
        throw new SandboxError("internal", "the case could not be cleaned up", { cause: failures });
    },
  };
}
