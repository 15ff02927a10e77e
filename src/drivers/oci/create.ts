import { mkdirSync, writeFileSync } from "node:fs";
import type { Machine } from "../../core/driver.ts";
import type { SandboxSpec } from "../../core/spec.ts";
import { notAborted } from "../../core/validate.ts";
import { dialSocket } from "../../guest/access.ts";
import { agentMachine } from "../../guest/machine.ts";
import { blankDisk } from "../../images/blank-disk.ts";
import { fileError } from "../../images/file-errors.ts";
import { claimDirectory, knownGuestLayer, machineIdOf, undoClaim } from "../local/claim.ts";
import { type MachineFacts, readEndNote } from "../local/facts.ts";
import { type IdRange, releaseIds, reserveIds } from "../local/id-ranges.ts";
import { type MachinePlaces, controlGroup, machinePlaces } from "../local/layout.ts";
import { noteMaker } from "../local/maker.ts";
import { restingMachine } from "../local/resting.ts";
import type { Runtime } from "../local/runtime.ts";
import { type Origin, takeSnapshot } from "../local/snapshots.ts";
import { requireItsFilter } from "../local/shared-memory.ts";
import { superviseMachine } from "../local/supervisor.ts";
import { bundleConfig } from "./bundle.ts";
import { type MachineParts, machinePlan } from "./plan.ts";
import type { Preset } from "./preset.ts";

export interface Creation {
  readonly preset: Preset;
  readonly stateDir: string;
  readonly spec: SandboxSpec;
  readonly signal: AbortSignal | undefined;
  /** Finds the runtime that a paused machine is resumed with. Throws when none may be used. */
  readonly usable: () => Promise<Runtime>;
  readonly runtime: Runtime;
  /** `undefined`: the guest layer alone. */
  readonly origin: Origin | undefined;
}

type AccessParts = Pick<Creation, "preset" | "usable">;

/** Makes a machine that this process owns. Whatever fails, nothing is left of it. */
export async function createMachine(creation: Creation): Promise<Machine> {
  const { preset, stateDir, spec, signal } = creation;
  const [layer, disk] = await Promise.all([
    layerFor(creation),
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
    const { runtime } = creation;
    const { template, memory } = creation.origin ?? withoutOrigin;
    write(preset, {
      spec,
      places,
      runtime,
      template,
      memory: memory?.kept,
      idRange,
      guestLayer: layer,
      disk,
    });
    await requireItsFilter(places, memory);
    const supervision = await superviseMachine(places, signal);
    const machine = await agentMachine({
      ...accessOf(creation, places, { ...factsOf(preset, { spec, template }), own: true }),
      release: async () => {
        await supervision.exited();
        if (idRange !== undefined) await releaseIds(idRange);
      },
    });
    if (signal?.aborted === true) await machine[Symbol.asyncDispose]();
    notAborted(signal);
    return machine;
  } catch (error) {
    await undoClaim(places, idRange);
    throw fileError(error, "make a sandbox");
  }
}

const withoutOrigin = { template: undefined, memory: undefined };

/** A memory maps the programs of the guest layer that it came with. */
async function layerFor({ stateDir, origin }: Creation): Promise<string> {
  return origin?.memory?.guestLayer ?? knownGuestLayer(stateDir);
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
  const { driver, template, metadata, resources, templateEnvs, own } = facts;
  return {
    id,
    driver,
    template,
    metadata,
    resources,
    own,
    code: true,
    keeps: preset.keeps,
    snapshotKeeps: preset.checkpoint === undefined ? ["files"] : ["files", "memory"],
    givesMemoryBack: preset.checkpoint !== undefined,
    resting: restingMachine(places, usable),
    takeSnapshot: (name, copy) =>
      takeSnapshot(places, { driver, template, templateEnvs, name }, copy),
    dial: dialSocket(places.socket),
    reach: { kind: "socket", path: places.socket },
    endNote: () => readEndNote(stateDir, id),
  };
}

function factsOf(
  preset: Preset,
  { spec, template: made }: Pick<MachineParts, "spec" | "template">,
): MachineFacts {
  const { template, metadata, resources } = spec;
  const templateEnvs = made?.envs ?? {};
  return { version: 1, driver: preset.name, template, metadata, resources, templateEnvs };
}

function write(preset: Preset, parts: MachineParts): void {
  const { spec, places, idRange } = parts;
  const { id, stateDir, userNamespace } = places;
  const group = `/${controlGroup(stateDir, id)}`;
  const facts = { id, spec, idRange, group, userNamespace };
  writeJson(`${places.bundle}/config.json`, bundleConfig(preset, facts));
  writeJson(places.facts, factsOf(preset, parts));
  writeJson(places.plan, machinePlan(preset, parts));
}

function writeJson(file: string, value: unknown): void {
  writeFileSync(file, JSON.stringify(value), { mode: 0o600 });
}
