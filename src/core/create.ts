import type { Driver } from "./driver.ts";
import type { Resources } from "./spec.ts";
import { SandboxError } from "./errors.ts";
import { type SandboxOptions, parseSandboxOptions, requireEgress } from "./options.ts";
import { type DriverChoice, Sandbox, type SandboxParts } from "./sandbox.ts";
import { notAborted, signalOption } from "./validate.ts";

/** What the maker of a sandbox knows beside the user's options. */
export interface CreationFacts {
  /** Why this driver. Default: the caller named it. */
  readonly choice?: DriverChoice;
  /** What the template asks for where the user says nothing. */
  readonly templateResources?: Partial<Resources>;
  /** Names of options that the caller has treated itself. */
  readonly moreNames?: readonly string[];
}

/** A sandbox on a driver. Throws `invalid` and `unsupported` with the field before anything starts, then what the driver throws. */
export async function createSandbox(
  driver: Driver,
  options: SandboxOptions = {},
  facts: CreationFacts = {},
): Promise<Sandbox> {
  return new Sandbox(await createParts(driver, options, facts));
}

/** A sandbox that runs already, found by its id. Throws `not-found`, with why it ended where that is known. */
export async function openSandbox(driver: Driver, id: string): Promise<Sandbox> {
  return new Sandbox(await openParts(driver, id));
}

/** What `createSandbox` makes a sandbox over. */
export async function createParts(
  driver: Driver,
  options: SandboxOptions,
  facts: CreationFacts = {},
): Promise<SandboxParts> {
  const spec = parseSandboxOptions(options, facts.templateResources, facts.moreNames);
  const signal = signalOption(options.signal);
  requireEgress(options, driver);
  driver.enforcement(spec);
  notAborted(signal);
  const machine = await driver.create(spec, signal);
  return { driver, machine, spec, choice: facts.choice ?? named(driver) };
}

/** What `openSandbox` makes a sandbox over. */
export async function openParts(driver: Driver, id: string): Promise<SandboxParts> {
  const machine = await driver.open(sandboxIdOf(id));
  return {
    driver,
    machine,
    spec: undefined,
    choice: { driver: driver.name, reason: "the sandbox runs there", rejected: [] },
  };
}

/** A sandbox's id as a caller gave it. Throws `invalid`, so that no other text ever reaches a driver's paths. */
export function sandboxIdOf(id: unknown): string {
  if (typeof id === "string" && /^i[a-z0-9]{20}$/.test(id)) return id;
  throw new SandboxError("invalid", "sandboxId: an id is i and 20 lower-case letters and digits", {
    field: "sandboxId",
    mend: "Sandbox.list() and cofferdam ls tell the ids of those that run",
  });
}

/** The error for an id that nobody knows. */
export function noSandbox(id: string, cause?: unknown): SandboxError {
  return new SandboxError("not-found", `there is no sandbox ${id}`, {
    field: "sandboxId",
    mend: "Sandbox.list() and cofferdam ls tell the ids of those that are there",
    cause,
  });
}

function named(driver: Driver): DriverChoice {
  return { driver: driver.name, reason: "it was asked for", rejected: [] };
}
