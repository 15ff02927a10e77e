import type { Driver } from "../core/driver.ts";
import { SandboxError } from "../core/errors.ts";
import type { DriverChoice } from "../core/sandbox.ts";
import { invalid, isObject, nearest } from "../core/validate.ts";
import {
  type BuiltinName,
  type BuiltinOptions,
  type HostedName,
  type HostedOptions,
  autoDrivers,
  builtinDrivers,
  hostedDrivers,
  plannedDrivers,
} from "../drivers/builtin.ts";

/** Which driver makes or finds sandboxes: a built-in one by name, the strongest that works here, or one of your own. */
export type DriverOption = "auto" | BuiltinName | HostedName | Driver;

/** A driver, and why it was taken. */
export interface Chosen {
  readonly driver: Driver;
  readonly choice: DriverChoice;
}

/** Where built-in drivers work, and how. */
export type Place = BuiltinOptions & HostedOptions;

/** Where local drivers keep machines and templates when nobody says. */
export const defaultStateDir = "/var/lib/cofferdam";

/** Names of the built-in drivers of this host. */
export const driverNames: readonly BuiltinName[] = Object.keys(builtinDrivers).filter(
  (name): name is BuiltinName => Object.hasOwn(builtinDrivers, name),
);

/** Names of the drivers of services elsewhere. */
export const hostedNames: readonly HostedName[] = Object.keys(hostedDrivers).filter(
  (name): name is HostedName => Object.hasOwn(hostedDrivers, name),
);

/** Whether an option means a driver of a service elsewhere, which needs nothing of this host. */
export function isHosted(option: unknown): boolean {
  return hostedNames.some((name) => name === option);
}

/** What auto found, per state directory, for as long as this process lives: a probe starts a machine. */
const found: Map<string, Promise<Chosen>> = new Map();
const loaded: Map<string, Promise<Driver>> = new Map();

/** The driver that the option means. Throws `invalid` for an unknown name, `unavailable` when auto finds none. */
export async function chooseDriver(option: unknown, place: Place): Promise<Chosen> {
  if (option !== undefined && option !== "auto") return named(option, place);
  const key = keyOf(place);
  const earlier = found.get(key);
  if (earlier !== undefined) return earlier;
  const search = strongest(place);
  found.set(key, search);
  search.catch(() => found.delete(key));
  return search;
}

/** The drivers that the option may mean, where the sandbox is known and its driver is not. */
export async function candidateDrivers(option: unknown, place: Place): Promise<readonly Driver[]> {
  if (option !== undefined && option !== "auto") return [(await named(option, place)).driver];
  return Promise.all(driverNames.map((name) => load(name, place)));
}

async function named(option: unknown, place: Place): Promise<Chosen> {
  const driver = isDriver(option) ? option : await load(nameOf(option), place);
  return { driver, choice: { driver: driver.name, reason: "it was asked for", rejected: [] } };
}

/** Asks the drivers one after the other, strongest first, whether this host can use them. */
async function strongest(place: Place): Promise<Chosen> {
  const rejected: { driver: string; reason: string; mend: string }[] = [];
  for (const name of autoDrivers) {
    const driver = await load(name, place);
    const availability = await driver.probe();
    if (availability.ok) {
      const reason = `it is the strongest that works on this host (${availability.version})`;
      return { driver, choice: { driver: name, reason, rejected } };
    }
    rejected.push({ driver: name, reason: availability.reason, mend: availability.mend });
  }
  const reasons = rejected.map(({ driver, reason }) => `${driver}: ${reason}`).join("; ");
  const mend = rejected.map(({ driver, mend: each }) => `${driver}: ${each}`).join("; ");
  throw new SandboxError("unavailable", `no driver works on this host: ${reasons}`, {
    field: "driver",
    mend,
  });
}

function keyOf({ stateDir, allowKnownEscapes = false }: Place): string {
  return `${allowKnownEscapes} ${stateDir}`;
}

function load(name: BuiltinName | HostedName, place: Place): Promise<Driver> {
  const key = name === "e2b" ? `e2b ${JSON.stringify(place.e2b)}` : `${name} ${keyOf(place)}`;
  const earlier = loaded.get(key);
  if (earlier !== undefined) return earlier;
  const loading = { ...builtinDrivers, ...hostedDrivers }[name](place);
  loaded.set(key, loading);
  loading.catch(() => loaded.delete(key));
  return loading;
}

function nameOf(option: unknown): BuiltinName | HostedName {
  const names = [...driverNames, ...hostedNames];
  const name = names.find((known) => known === option);
  if (name !== undefined) return name;
  const there = `there are auto, ${names.join(", ")}`;
  const planned = plannedDrivers.find((known) => known === option);
  if (planned !== undefined)
    throw invalid("driver", `the driver ${planned} is not built yet; ${there}`);
  const shown = typeof option === "string" ? JSON.stringify(option.slice(0, 40)) : typeof option;
  const similar = typeof option === "string" ? nearest(option, ["auto", ...names]) : undefined;
  const mend = similar === undefined ? undefined : `did you mean ${similar}?`;
  throw invalid("driver", `there is no driver ${shown}; ${there}`, mend);
}

function isDriver(value: unknown): value is Driver {
  return (
    isObject(value) && typeof value["create"] === "function" && typeof value["name"] === "string"
  );
}
