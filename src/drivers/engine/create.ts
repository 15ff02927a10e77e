import { existsSync, rmSync, writeFileSync } from "node:fs";
import type { Machine } from "../../core/driver.ts";
import { SandboxError } from "../../core/errors.ts";
import type { SandboxSpec } from "../../core/spec.ts";
import { notAborted } from "../../core/validate.ts";
import { dialSocket } from "../../guest/access.ts";
import { agentMachine } from "../../guest/machine.ts";
import { fileError } from "../../images/file-errors.ts";
import { claimDirectory, machineIdOf } from "../local/claim.ts";
import { type MachineFacts, readEndNote } from "../local/facts.ts";
import { type MachinePlaces, machinePlaces } from "../local/layout.ts";
import { noteMaker } from "../local/maker.ts";
import { superviseMachine, sweepEngine } from "../local/supervisor.ts";
import type { ContainerParts } from "./container.ts";
import type { Engine } from "./engine.ts";
import { machinePlan } from "./plan.ts";
import type { Preset } from "./preset.ts";

export interface Creation {
  readonly preset: Preset;
  readonly engine: Engine;
  readonly stateDir: string;
  readonly spec: SandboxSpec;
  readonly signal: AbortSignal | undefined;
  readonly image: ContainerParts["image"];
  readonly runtime: string | undefined;
  readonly volume: string;
}

/** Makes a machine that this process owns. Whatever fails, nothing is left of it. */
export async function createMachine(creation: Creation): Promise<Machine> {
  const { preset, stateDir, spec, signal, engine } = creation;
  notAborted(signal);
  const places = machinePlaces(stateDir, machineIdOf(spec));
  claimDirectory(places);
  try {
    noteMaker(places.maker);
    const { image, runtime, volume } = creation;
    const container = { id: places.id, stateDir, spec, image, runtime, volume };
    writeJson(places.facts, factsOf(creation));
    writeJson(places.plan, machinePlan(preset, { engine, places, container }));
    const supervision = await superviseMachine(places, signal, "engine-supervisor");
    const machine = await agentMachine({
      ...accessOf(places, { ...factsOf(creation), own: true }),
      release: () => supervision.exited(),
    });
    if (signal?.aborted === true) await machine[Symbol.asyncDispose]();
    notAborted(signal);
    return machine;
  } catch (error) {
    await undo(places, engine);
    throw fileError(error, "make a sandbox");
  }
}

/** How the agent of a machine is reached, and what is told of it. */
export function accessOf(
  { id, stateDir, socket }: MachinePlaces,
  { driver, template, metadata, resources, own }: MachineFacts & { readonly own: boolean },
): Parameters<typeof agentMachine>[0] {
  return {
    id,
    driver,
    template,
    metadata,
    resources,
    own,
    code: true,
    keeps: [],
    givesMemoryBack: false,
    dial: dialSocket(socket),
    reach: { kind: "socket", path: socket },
    endNote: () => readEndNote(stateDir, id),
  };
}

function factsOf({ preset, spec, image }: Creation): MachineFacts {
  const { template, metadata, resources } = spec;
  const templateEnvs = image.envs;
  return { version: 1, driver: preset.name, template, templateEnvs, metadata, resources };
}

function writeJson(file: string, value: unknown): void {
  writeFileSync(file, JSON.stringify(value), { mode: 0o600 });
}

/** Most often the supervisor has undone everything; what it could not is swept, now or by the next sweep. */
async function undo(places: MachinePlaces, engine: Engine): Promise<void> {
  if (!existsSync(places.lock)) return rmSync(places.directory, { recursive: true, force: true });
  await sweepEngine(places.stateDir, engine).catch((cause: unknown) => {
    if (SandboxError.from(cause).code !== "unavailable") throw cause;
  });
}
