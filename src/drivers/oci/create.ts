import { existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { stat } from "node:fs/promises";
import { dirname } from "node:path";
import type { Machine } from "../../core/driver.ts";
import { SandboxError } from "../../core/errors.ts";
import type { SandboxSpec } from "../../core/spec.ts";
import { invalid, notAborted } from "../../core/validate.ts";
import { dialSocket } from "../../guest/access.ts";
import { agentMachine } from "../../guest/machine.ts";
import { blankDisk } from "../../images/blank-disk.ts";
import { fileError, isMissing, systemCode } from "../../images/file-errors.ts";
import { guestLayer } from "../../images/guest-layer.ts";
import { bundleConfig } from "./bundle.ts";
import { type MachineFacts, readEndNote } from "./facts.ts";
import { type IdRange, releaseIds, reserveIds } from "./id-ranges.ts";
import { type MachinePlaces, controlGroup, machinePlaces } from "./layout.ts";
import { isMachineId, newMachineId } from "./machine-id.ts";
import { noteMaker } from "./maker.ts";
import { type MachineParts, machinePlan } from "./plan.ts";
import type { Preset } from "./preset.ts";
import { restingMachine } from "./resting.ts";
import { type Origin, takeSnapshot } from "./snapshots.ts";
import { superviseMachine, sweepMachines } from "./supervisor.ts";

export interface Creation {
  readonly preset: Preset;
  readonly stateDir: string;
  readonly spec: SandboxSpec;
  readonly signal: AbortSignal | undefined;
  /** Finds the runtime that a paused machine is resumed with. Throws when none may be used. */
  readonly usable: () => Promise<unknown>;
  /** The runtime's program. */
  readonly program: string;
  /** `undefined`: the guest layer alone. */
  readonly origin: Origin | undefined;
}

type AccessParts = Pick<Creation, "preset" | "usable">;

/** Makes a machine that this process owns. Whatever fails, nothing is left of it. */
export async function createMachine(creation: Creation): Promise<Machine> {
  const { preset, stateDir, spec, signal } = creation;
  const [layer, disk] = await Promise.all([
    knownGuestLayer(stateDir),
    creation.origin?.disk ?? emptyDisk(stateDir, spec.resources.diskMiB),
  ]);
  notAborted(signal);
  const places = machinePlaces(stateDir, machineIdOf(spec));
  let idRange: IdRange | undefined;
  claimDirectory(places);
  try {
    noteMaker(places.maker);
    mkdirSync(places.bundle, { mode: 0o700 });
    idRange = preset.mapsIds ? await reserveIds(places.directory) : undefined;
    const { program, origin } = creation;
    const template = origin?.template;
    write(preset, { spec, places, program, template, idRange, guestLayer: layer, disk });
    const supervision = await superviseMachine(places, signal);
    const machine = await agentMachine({
      ...accessOf(creation, places, { ...factsOf(preset, spec), own: true }),
      release: async () => {
        await supervision.exited();
        if (idRange !== undefined) await releaseIds(idRange);
      },
    });
    if (signal?.aborted === true) await machine[Symbol.asyncDispose]();
    notAborted(signal);
    return machine;
  } catch (error) {
    await undo(places, idRange);
    throw fileError(error, "make a sandbox");
  }
}

async function emptyDisk(stateDir: string, sizeMiB: number): Promise<MachineParts["disk"]> {
  return { blank: await blankDisk(stateDir, sizeMiB), sizeMiB, digest: "" };
}

/** How the agent of a machine is reached, and what is told of it. */
export function accessOf(
  { preset, usable }: AccessParts,
  places: MachinePlaces,
  facts: MachineFacts & { readonly own: boolean },
): Parameters<typeof agentMachine>[0] {
  const { id, stateDir } = places;
  const { driver, template, metadata, resources, own } = facts;
  return {
    id,
    driver,
    template,
    metadata,
    resources,
    own,
    code: true,
    keeps: preset.keeps,
    resting: restingMachine(places, usable),
    takeSnapshot: (name, copy) => takeSnapshot(places, { driver, template, name }, copy),
    dial: dialSocket(places.socket),
    reach: { kind: "socket", path: places.socket },
    endNote: () => readEndNote(stateDir, id),
  };
}

function factsOf(preset: Preset, { template, metadata, resources }: SandboxSpec): MachineFacts {
  return { version: 1, driver: preset.name, template, metadata, resources };
}

/** The id that the spec names, or a new one. Throws `invalid` for what is no id. */
function machineIdOf({ id }: SandboxSpec): string {
  if (id === undefined) return newMachineId();
  if (isMachineId(id)) return id;
  throw invalid("id", "an id is i and 20 lower-case letters and digits");
}

/**
 * Makes the machine's directory, which only one of all who want its id does. Throws `already-exists`.
 *
 * Small files on a local disk are written at once, which takes less time than handing each to another thread.
 */
function claimDirectory(places: MachinePlaces): void {
  try {
    makeDirectory(places);
  } catch (error) {
    if (systemCode(error) !== "EEXIST") throw fileError(error, "make a sandbox");
    throw new SandboxError("already-exists", `there is a sandbox ${places.id}`, {
      field: "id",
      cause: error,
    });
  }
}

function makeDirectory(places: MachinePlaces): void {
  try {
    mkdirSync(places.directory, { mode: 0o700 });
  } catch (error) {
    if (!isMissing(error)) throw error;
    mkdirSync(places.stateDir, { recursive: true, mode: 0o711 });
    mkdirSync(dirname(places.directory), { recursive: true, mode: 0o700 });
    mkdirSync(places.directory, { mode: 0o700 });
  }
}

function write(preset: Preset, parts: MachineParts): void {
  const { spec, places, idRange } = parts;
  const { id, stateDir, userNamespace } = places;
  const group = `/${controlGroup(stateDir, id)}`;
  const facts = { id, spec, idRange, group, userNamespace };
  writeJson(`${places.bundle}/config.json`, bundleConfig(preset, facts));
  writeJson(places.facts, factsOf(preset, spec));
  writeJson(places.plan, machinePlan(preset, parts));
}

function writeJson(file: string, value: unknown): void {
  writeFileSync(file, JSON.stringify(value), { mode: 0o600 });
}

/** Most often the supervisor has undone everything; what it could not is swept. */
async function undo(places: MachinePlaces, idRange: IdRange | undefined): Promise<void> {
  if (existsSync(places.lock)) await sweepMachines(places.stateDir);
  else rmSync(places.directory, { recursive: true, force: true });
  if (idRange !== undefined) await releaseIds(idRange);
}

/** Guest layers by state directory, so that a machine costs one `stat` for it. */
const layers: Map<string, Promise<string>> = new Map();

async function knownGuestLayer(stateDir: string): Promise<string> {
  const earlier = layers.get(stateDir);
  if (earlier !== undefined && (await isThere(earlier))) return earlier;
  const layer = guestLayer(stateDir);
  layers.set(stateDir, layer);
  layer.catch(() => layers.delete(stateDir));
  return layer;
}

async function isThere(layer: Promise<string>): Promise<boolean> {
  try {
    await stat(await layer);
    return true;
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}
