import type { Driver, SnapshotInfo } from "../core/driver.ts";
import { SandboxError } from "../core/errors.ts";
import { createParts, openParts, sandboxIdOf, noSandbox } from "../core/create.ts";
import {
  type SandboxOptions,
  parseLifetime,
  parseSandboxOptions,
  templateOf,
} from "../core/options.ts";
import { Sandbox as SandboxOverMachine } from "../core/sandbox.ts";
import type { Resources } from "../core/spec.ts";
import { flag, invalid, optionalText, optionsObject, textMap } from "../core/validate.ts";
import type { HostedOptions } from "../drivers/builtin.ts";
import { templates } from "../images/templates.ts";
import {
  type DriverOption,
  type Place,
  candidateDrivers,
  chooseDriver,
  defaultStateDir,
  isHosted,
} from "./choose-driver.ts";
import { SandboxList } from "./sandbox-list.ts";

/** Where sandboxes are. */
export interface PlaceOptions {
  /** Default `auto`: the strongest built-in driver that works on this host. */
  readonly driver?: DriverOption;
  /** Where local drivers keep machines and templates. Default `/var/lib/cofferdam`. */
  readonly stateDir?: string;
  /**
   * Uses a runtime although its version has known escapes. Default `false`. `enforcement()` says so, and each creation is
   * written to `audit.jsonl` in the state directory.
   */
  readonly allowKnownEscapes?: boolean;
  /** For `driver: "e2b"`: the service, and the key that it knows its tenant by. */
  readonly e2b?: HostedOptions["e2b"];
}

/** Options of `Sandbox.create`. */
export interface CreateOptions extends SandboxOptions, PlaceOptions {}

/** Options of `Sandbox.connect`. */
export interface ConnectOptions extends PlaceOptions {
  /** Lets the sandbox live at least this long from now; never shortens its life. Milliseconds. */
  readonly lifetimeMs?: number;
}

/** Options of `Sandbox.list`. */
export interface ListOptions extends PlaceOptions {
  /** Only sandboxes whose metadata has all of these. */
  readonly metadata?: Readonly<Record<string, string>>;
}

const placeNames = ["driver", "stateDir", "allowKnownEscapes", "e2b"] as const;

/**
 * An isolated computer for code that nobody has read, on this host.
 *
 * `await using sandbox = await Sandbox.create()` ends it with its scope; a process that exits or crashes takes its
 * sandboxes with it, unless they are `detached`.
 */
export class Sandbox extends SandboxOverMachine {
  /**
   * Makes a sandbox.
   *
   * Throws `invalid` (a bad option, by name), `unsupported` (an option that the driver cannot enforce), `not-found` (no such
   * template), `unavailable` (no driver works here), `cancelled`; nothing is left behind then.
   */
  static create(options?: CreateOptions): Promise<Sandbox>;
  static create(template: string, options?: CreateOptions): Promise<Sandbox>;
  static async create(
    first: string | CreateOptions = {},
    second: CreateOptions = {},
  ): Promise<Sandbox> {
    const options = typeof first === "string" ? { ...second, template: first } : first;
    parseSandboxOptions(options, {}, placeNames);
    const { driver, choice } = await chooseDriver(options.driver, placeOf(options));
    const templateResources = await resourcesOfTemplate(options, driver);
    const facts = { choice, templateResources, moreNames: placeNames };
    return new Sandbox(await createParts(driver, options, facts));
  }

  /** Finds a running sandbox, of this process or another of the host. Throws `not-found`, with why it ended where that is known. */
  static async connect(sandboxId: string, options: ConnectOptions = {}): Promise<Sandbox> {
    optionsObject(options, [...placeNames, "lifetimeMs"], {
      hints: { timeoutMs: "use lifetimeMs" },
    });
    const lifetimeMs = parseLifetime("lifetimeMs", options.lifetimeMs);
    const drivers = await candidateDrivers(options.driver, placeOf(options));
    const sandbox = new Sandbox(await firstThatKnows(drivers, sandboxIdOf(sandboxId)));
    if (lifetimeMs !== undefined) await atLeast(sandbox, lifetimeMs);
    return sandbox;
  }

  /** Running sandboxes, newest first. An async iterable, with E2B's `hasNext` and `nextItems()` beside. */
  static list(options: ListOptions = {}): SandboxList {
    optionsObject(options, [...placeNames, "metadata"]);
    const wanted = textMap("metadata", options.metadata, 32_768);
    return new SandboxList(() => candidateDrivers(options.driver, placeOf(options)), wanted);
  }

  /** Snapshots of all drivers, or of the one that is named. */
  static async *listSnapshots(options: PlaceOptions = {}): AsyncGenerator<SnapshotInfo, void> {
    optionsObject(options, placeNames);
    for (const { snapshots } of await candidateDrivers(options.driver, placeOf(options)))
      if (snapshots !== undefined) yield* snapshots.list();
  }

  /** Removes a snapshot; sandboxes made from it live on. `false`: there is none of this name. */
  static async deleteSnapshot(name: string, options: PlaceOptions = {}): Promise<boolean> {
    optionsObject(options, placeNames);
    for (const { snapshots } of await candidateDrivers(options.driver, placeOf(options)))
      if ((await snapshots?.remove(name)) === true) return true;
    return false;
  }

  /** Ends a sandbox and resolves when nothing of it is left. `false`: there is none with this id. */
  static async kill(sandboxId: string, options: PlaceOptions = {}): Promise<boolean> {
    optionsObject(options, placeNames);
    try {
      const sandbox = await Sandbox.connect(sandboxId, options);
      await sandbox[Symbol.asyncDispose]();
      return true;
    } catch (cause) {
      if (cause instanceof SandboxError && cause.code === "not-found") return false;
      throw cause;
    }
  }
}

/** What the template asks for itself. A driver of the caller's own, and a service, have templates of their own. */
async function resourcesOfTemplate(
  options: CreateOptions,
  { snapshots }: Driver,
): Promise<Partial<Resources>> {
  if (typeof options.driver === "object" || isHosted(options.driver)) return {};
  for await (const { name } of snapshots?.list() ?? []) if (name === options.template) return {};
  return (await templates(stateDirOf(options)).resolve(templateOf(options))).resources;
}

async function firstThatKnows(
  drivers: readonly Driver[],
  id: string,
): ReturnType<typeof openParts> {
  let unknown: SandboxError | undefined;
  for (const driver of drivers) {
    try {
      return await openParts(driver, id);
    } catch (cause) {
      if (!(cause instanceof SandboxError) || cause.code !== "not-found") throw cause;
      unknown ??= cause;
    }
  }
  throw unknown ?? noSandbox(id);
}

async function atLeast(sandbox: Sandbox, lifetimeMs: number): Promise<void> {
  const { endAt } = await sandbox.getInfo();
  if (endAt.getTime() < Date.now() + lifetimeMs) await sandbox.setTimeout(lifetimeMs);
}

function placeOf(options: PlaceOptions): Place {
  const allowKnownEscapes = flag("allowKnownEscapes", options.allowKnownEscapes, false);
  return { stateDir: stateDirOf(options), allowKnownEscapes, e2b: options.e2b };
}

function stateDirOf(options: PlaceOptions): string {
  const stateDir = optionalText("stateDir", options.stateDir) ?? defaultStateDir;
  if (!stateDir.startsWith("/"))
    throw invalid("stateDir", "expected an absolute path", "begin it with /");
  return stateDir;
}
