import { noSandbox } from "../../core/create.ts";
import type { Machine, MachineInfo } from "../../core/driver.ts";
import { SandboxError } from "../../core/errors.ts";
import { type MachineAccess, dialSocket } from "../../guest/access.ts";
import type { ControlInfo } from "../../guest/control-messages.ts";
import { controlChannel } from "../../guest/control.ts";
import { endedError } from "../../guest/lifeline.ts";
import { agentMachine } from "../../guest/machine.ts";
import { type MachineFacts, machineIds, readEndNote, readFacts } from "./facts.ts";
import { releaseStaleIds } from "./id-ranges.ts";
import { type MachinePlaces, machinePlaces } from "./layout.ts";
import { isMachineId } from "./machine-id.ts";
import { restingInfo } from "./resting.ts";
import { sweepMachines } from "./supervisor.ts";

/** The machines of one driver in a state directory, whichever process has made them. */
export interface Registry {
  readonly driver: string;
  readonly stateDir: string;
  /** How the agent of a machine is reached that another process may own. */
  readonly accessOf: (places: MachinePlaces, facts: MachineFacts) => MachineAccess;
}

/** How long after the first use a process looks for what dead ones left behind. Milliseconds. */
const sweepDelayMs = 100;

/** Throws `not-found`, with why it ended where that is known. */
export async function openMachine(registry: Registry, id: string): Promise<Machine> {
  const { driver, stateDir, accessOf } = registry;
  if (!isMachineId(id)) throw noSandbox(id.slice(0, 64));
  const places = machinePlaces(stateDir, id);
  const facts = await readFacts(places.facts);
  if (facts?.driver !== driver) throw await notFound(stateDir, id);
  try {
    return await agentMachine({ ...accessOf(places, facts), release: releaseStaleIds });
  } catch (cause) {
    const error = SandboxError.from(cause);
    if (error.code !== "lost") throw error;
    throw await notFound(stateDir, id, error);
  }
}

/** With why it ended, where that is still known. */
async function notFound(stateDir: string, id: string, cause?: unknown): Promise<SandboxError> {
  const reason = await readEndNote(stateDir, id);
  if (reason === undefined) return noSandbox(id, cause);
  const { message, mend } = endedError(id, reason);
  return new SandboxError("not-found", message, { cause, ...(mend === undefined ? {} : { mend }) });
}

export async function* listMachines({ driver, stateDir }: Registry): AsyncGenerator<MachineInfo> {
  for (const id of await machineIds(stateDir)) {
    const places = machinePlaces(stateDir, id);
    const facts = await readFacts(places.facts);
    if (facts?.driver !== driver) continue;
    const told = (await runningInfo(places.socket)) ?? (await restingIfKnown(places));
    if (told !== undefined) yield machineInfo(id, facts, told);
  }
}

function machineInfo(id: string, facts: MachineFacts, told: ControlInfo): MachineInfo {
  const { driver, template, metadata, resources, kernel } = facts;
  const { supervisorPid, detached: _, ...lease } = told;
  const own = kernel === undefined ? {} : { kernel };
  const holdsMemory = supervisorPid !== 0;
  return { id, driver, template, metadata, resources, ...own, holdsMemory, ...lease };
}

/** One whose page was damaged can be opened and ended, and has nothing to show. */
async function restingIfKnown(places: MachinePlaces): Promise<ControlInfo | undefined> {
  try {
    return await restingInfo(places);
  } catch (cause) {
    if (SandboxError.from(cause).code === "untrusted") return undefined;
    throw cause;
  }
}

/** What a machine's supervisor says; `undefined` when the machine has none: it is not made yet, paused, or gone. */
async function runningInfo(socket: string): Promise<ControlInfo | undefined> {
  try {
    const control = await controlChannel(dialSocket(socket));
    try {
      return await control.info();
    } finally {
      control.close();
    }
  } catch (cause) {
    const error = SandboxError.from(cause);
    if (error.code === "lost") return undefined;
    throw error;
  }
}

/** Gives back what dead processes left below the state directory. Returns what it removed. */
export async function sweepAll(stateDir: string): Promise<readonly string[]> {
  const removed = await sweepMachines(stateDir);
  await releaseStaleIds();
  return removed;
}

/** Sweeps once for a process, beside whatever that does. What it could not, the next one tries. */
export function sweeper(stateDir: string): () => void {
  let done = false;
  return () => {
    if (done) return;
    done = true;
    setTimeout(() => {
      sweepMachines(stateDir).then(releaseStaleIds, () => undefined);
    }, sweepDelayMs).unref();
  };
}
