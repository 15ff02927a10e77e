import { writeFileSync } from "node:fs";
import type { Machine } from "../../core/driver.ts";
import type { SandboxSpec } from "../../core/spec.ts";
import { notAborted } from "../../core/validate.ts";
import { type MachineAccess, dialSocket } from "../../guest/access.ts";
import { agentMachine } from "../../guest/machine.ts";
import { blankDisk } from "../../images/blank-disk.ts";
import { fileError } from "../../images/file-errors.ts";
import { claimDirectory, knownGuestLayer, machineIdOf, undoClaim } from "../local/claim.ts";
import { type MachineFacts, readEndNote } from "../local/facts.ts";
import { type IdRange, releaseIds, reserveIds } from "../local/id-ranges.ts";
import { type MachinePlaces, machinePlaces } from "../local/layout.ts";
import { noteMaker } from "../local/maker.ts";
import { restingMachine } from "../local/resting.ts";
import { type Origin, takeSnapshot } from "../local/snapshots.ts";
import { superviseMachine } from "../local/supervisor.ts";
import type { Engine, FoundEngine } from "./engine.ts";
import { guestFiles } from "./guest-files.ts";
import { machinePlan } from "./plan.ts";
import { refit } from "./refit.ts";

export interface Creation {
  readonly engine: Engine;
  readonly found: FoundEngine;
  readonly stateDir: string;
  readonly spec: SandboxSpec;
  readonly signal: AbortSignal | undefined;
  /** `undefined`: the guest layer alone. */
  readonly origin: Origin | undefined;
}

/** Makes a machine that this process owns. Whatever fails, nothing is left of it. */
export async function createMachine(creation: Creation): Promise<Machine> {
  const { engine, found, stateDir, spec, signal, origin } = creation;
  const { template } = origin ?? {};
  const layer = await knownGuestLayer(stateDir);
  const directories = template === undefined ? [layer] : [layer, template.rootfs];
  const [guest, disk] = await Promise.all([
    guestFiles(stateDir, directories, signal),
    origin?.disk ?? emptyDisk(stateDir, spec.resources.diskMiB),
  ]);
  notAborted(signal);
  const places = machinePlaces(stateDir, machineIdOf(spec));
  let idRange: IdRange | undefined;
  claimDirectory(places);
  try {
    noteMaker(places.maker);
    idRange = await reserveIds(places.directory);
    const range = idRange;
    const wanted = { stateDir, places, spec, guest, hostId: range.hostId, signal };
    const vessel = await found.vessel(wanted);
    const facts = factsOf(engine, { spec, template, kernel: guest.kernel });
    writeJson(places.facts, facts);
    const parts = { driver: engine.name, spec, places, vessel, guest, directories, template };
    writeJson(places.plan, machinePlan({ ...parts, disk, idRange: range }));
    const supervision = await superviseMachine(places, signal);
    const machine = await agentMachine({
      ...accessOf(engine, places, { ...facts, own: true }),
      release: async () => {
        await supervision.exited();
        await releaseIds(range);
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

async function emptyDisk(stateDir: string, sizeMiB: number): Promise<NonNullable<Origin["disk"]>> {
  return { blank: await blankDisk(stateDir, sizeMiB), sizeMiB, digest: "" };
}

/** How the agent of a machine is reached, and what is told of it. */
export function accessOf(
  engine: Engine,
  places: MachinePlaces,
  facts: MachineFacts & { readonly own: boolean },
): MachineAccess {
  const { id, stateDir } = places;
  const { driver, template, metadata, resources, templateEnvs, kernel, own } = facts;
  return {
    id,
    driver,
    template,
    metadata,
    resources,
    kernel,
    own,
    code: true,
    keeps: engine.keeps,
    givesMemoryBack: false,
    resting: restingMachine(places, async () => {
      await refit(engine, places);
      // Only memory on the disk asks for it.
      return { version: "none" };
    }),
    takeSnapshot: (name, copy) =>
      takeSnapshot(places, { driver, template, templateEnvs, name }, copy),
    dial: dialSocket(places.socket),
    reach: { kind: "socket", path: places.socket },
    endNote: () => readEndNote(stateDir, id),
  };
}

interface Making {
  readonly spec: SandboxSpec;
  readonly template: Origin["template"] | undefined;
  readonly kernel: string;
}

function factsOf(engine: Engine, { spec, template: made, kernel }: Making): MachineFacts {
  const { template, metadata, resources } = spec;
  const templateEnvs = made?.envs ?? {};
  return {
    version: 1,
    driver: engine.name,
    template,
    metadata,
    resources,
    templateEnvs,
    kernel,
  };
}

function writeJson(file: string, value: unknown): void {
  writeFileSync(file, JSON.stringify(value), { mode: 0o600 });
}
