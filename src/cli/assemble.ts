import type { Driver } from "../core/driver.ts";
import { SandboxError } from "../core/errors.ts";
import { createParts, noSandbox, openParts, sandboxIdOf } from "../core/create.ts";
import { type SandboxOptions, parseSandboxOptions, templateOf } from "../core/options.ts";
import type { SandboxParts } from "../core/sandbox.ts";
import { invalid } from "../core/validate.ts";
import {
  type Place,
  candidateDrivers,
  chooseDriver,
  defaultStateDir,
  driverNames,
  hostedNames,
  isHosted,
} from "../library/choose-driver.ts";
import { e2bOptionsFrom } from "../drivers/e2b/options.ts";
import { type Templates, builtinTemplates, templates } from "../images/templates.ts";
import { SandboxList } from "../library/sandbox-list.ts";

/** Where sandboxes are made: this host, or a server. */
export interface Host {
  /** What this host alone has; `undefined`: a server makes the sandboxes. */
  readonly local: LocalHost | undefined;
  /** The drivers that a name means; all of them for `auto` and `undefined`. Throws `invalid`. */
  drivers(name: string | undefined): Promise<readonly Driver[]>;
  /** Whether a name means a service elsewhere, which needs no root and no template of this host. */
  isElsewhere(driver: string | undefined): boolean;
  /** Throws what can be known before anything starts: `invalid`, and `denied` where this user cannot make sandboxes. */
  check(driver: string | undefined, options: SandboxOptions): Promise<void>;
  /** Throws what `Sandbox.create` throws. */
  create(driver: string | undefined, options: SandboxOptions): Promise<SandboxParts>;
  /** Throws `not-found`, `invalid`. */
  open(id: string, driver: string | undefined): Promise<SandboxParts>;
  list(driver: string | undefined, metadata: Readonly<Record<string, string>>): SandboxList;
}

/** Drivers and sandboxes of this host, below one state directory. */
export interface LocalHost extends Host {
  readonly stateDir: string;
  /** Whether runtimes with known escapes are used all the same. */
  readonly allowKnownEscapes: boolean;
  /** Of drivers of this host, strongest first. */
  readonly driverNames: readonly string[];
  /** Of drivers of services elsewhere for which this user has a key. */
  readonly serviceNames: readonly string[];
  readonly templates: Templates;
  /** Names of the templates that can be built here without a recipe of one's own. */
  readonly builtinTemplates: readonly string[];
  /** How another process of this host gets a driver by its name. */
  recipe(driver: string): ProcessRecipe;
}

interface ProcessRecipe {
  readonly argv: readonly [string, ...string[]];
  readonly prelude: string;
  readonly cwd: string;
}

/** The host's drivers and sandboxes. `stateDir` undefined: the standard place. Throws `invalid`. */
export function assemble(
  stateDir: string = defaultStateDir,
  allowKnownEscapes: boolean = false,
): LocalHost {
  if (!stateDir.startsWith("/"))
    throw invalid(
      "stateDir",
      `${JSON.stringify(stateDir)} is not an absolute path`,
      "begin it with /",
    );
  const ready = templates(stateDir);
  const here = { stateDir, allowKnownEscapes, environment: process.env };
  const placeOf = (name: string | undefined): Place =>
    isHosted(name) ? { ...here, e2b: e2bOptionsFrom(process.env) } : here;
  const drivers = async (name: string | undefined): Promise<readonly Driver[]> =>
    candidateDrivers(name, placeOf(name));
  const host: LocalHost = {
    get local() {
      return host;
    },
    stateDir,
    allowKnownEscapes,
    driverNames,
    serviceNames: process.env["E2B_API_KEY"] ? hostedNames : [],
    drivers,
    isElsewhere: isHosted,
    templates: ready,
    builtinTemplates,
    async check(name, options) {
      parseSandboxOptions(options);
      await drivers(name);
      requireRights(name);
    },
    async create(name, options) {
      const { driver, choice } = await chooseDriver(name, placeOf(name));
      const { resources } = isHosted(name)
        ? { resources: {} }
        : await ready.resolve(templateOf(options));
      return createParts(driver, options, { choice, templateResources: resources });
    },
    async open(id, name) {
      const known = sandboxIdOf(id);
      const candidates = await drivers(name);
      requireRights(name);
      return firstThatKnows(candidates, known).catch(async (cause: unknown) => {
        const others = name === undefined || isHosted(name) ? [] : await drivers(undefined);
        throw await orElsewhere(cause, others, known);
      });
    },
    list(name, metadata) {
      return new SandboxList(async () => {
        const candidates = await drivers(name);
        requireRights(name);
        return candidates;
      }, metadata);
    },
    recipe: (name) => recipe(name, stateDir),
  };
  return host;
}

function requireRights(driver: string | undefined): void {
  if (!isHosted(driver)) requireRoot();
}

/** Local drivers mount, make control groups and start runtimes. */
export function requireRoot(): void {
  if (process.geteuid?.() === 0) return;
  throw new SandboxError("denied", "sandboxes on this host need root, and this is another user", {
    mend: "run the same command with sudo",
  });
}

async function firstThatKnows(drivers: readonly Driver[], id: string): Promise<SandboxParts> {
  let unknown: SandboxError | undefined;
  for (const driver of drivers) {
    try {
      return await openParts(driver, id);
    } catch (cause) {
      const error = SandboxError.from(cause);
      if (error.code !== "not-found") throw error;
      unknown ??= error;
    }
  }
  throw unknown ?? noSandbox(id);
}

/** The error for a sandbox that was not found: where it runs, when it is on another driver than was asked. */
async function orElsewhere(
  cause: unknown,
  drivers: readonly Driver[],
  id: string,
): Promise<SandboxError> {
  const error = SandboxError.from(cause);
  if (error.code !== "not-found") return error;
  for (const driver of drivers) {
    for await (const machine of driver.list())
      if (machine.id === id)
        return new SandboxError("not-found", `the sandbox ${id} runs on ${driver.name}`, {
          field: "driver",
          mend: "leave --driver out, which finds it wherever it runs",
          cause,
        });
  }
  return error;
}

function recipe(name: string, stateDir: string): ProcessRecipe {
  const extension = import.meta.url.endsWith(".ts") ? "ts" : "js";
  const moduleOf = (path: string): string =>
    JSON.stringify(new URL(`../drivers/${path}.${extension}`, import.meta.url).href);
  const key = JSON.stringify(name);
  const local = [
    `const { builtinDrivers } = await import(${moduleOf("builtin")});`,
    `const driver = await builtinDrivers[${key}]({ stateDir: ${JSON.stringify(stateDir)}, environment: process.env });`,
  ];
  const hosted = [
    `const { hostedDrivers } = await import(${moduleOf("builtin")});`,
    `const { e2bOptionsFrom } = await import(${moduleOf("e2b/options")});`,
    `const driver = await hostedDrivers[${key}]({ e2b: e2bOptionsFrom(process.env) });`,
  ];
  return {
    argv: [process.execPath, ...process.execArgv, "--input-type=module", "-e"],
    prelude: (isHosted(name) ? hosted : local).join("\n"),
    cwd: "/",
  };
}
