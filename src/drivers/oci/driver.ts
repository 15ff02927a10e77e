import type { Availability, Capability, Driver, Machine, MachineInfo } from "../../core/driver.ts";
import { SandboxError } from "../../core/errors.ts";
import type { ControlInfo } from "../../guest/control-messages.ts";
import type { SandboxSpec } from "../../core/spec.ts";
import { controlChannel } from "../../guest/control.ts";
import { endedError } from "../../guest/lifeline.ts";
import { agentMachine } from "../../guest/machine.ts";
import { dialSocket } from "../../guest/access.ts";
import { templates } from "../../images/templates.ts";
import { accessOf, createMachine } from "./create.ts";
import { enforcementReport } from "./enforcement.ts";
import { type MachineFacts, machineIds, readEndNote, readFacts } from "./facts.ts";
import { releaseStaleIds } from "./id-ranges.ts";
import { type MachinePlaces, machinePlaces } from "./layout.ts";
import { isMachineId } from "./machine-id.ts";
import type { Preset } from "./preset.ts";
import { probeDriver } from "./probe.ts";
import { recordOverride } from "./override-audit.ts";
import { restingInfo } from "./resting.ts";
import { type Origin, snapshotOrigin, snapshotShelf } from "./snapshots.ts";
import { type Runtime, runtimeFinder } from "./runtime.ts";
import { sweepMachines } from "./supervisor.ts";

/** Options of a local driver. */
export interface OciOptions {
  /** Where machines, templates and empty disks are. An absolute path. */
  readonly stateDir: string;
  /** Uses a runtime although it has known escapes; the probe, `enforcement()` and `audit.jsonl` say so. Default `false`. */
  readonly allowKnownEscapes?: boolean;
}

/** How long after the first use a process looks for what dead ones left behind. Milliseconds. */
const sweepDelayMs = 100;

/** A driver that starts machines by an OCI runtime on this host, without a daemon. */
export function ociDriver(preset: Preset, options: OciOptions): Driver {
  const { stateDir, allowKnownEscapes = false } = options;
  const { name, isolation, program } = preset;
  const findRuntime = runtimeFinder({ driver: name, program, allowKnownEscapes });
  const ready = templates(stateDir);
  const tidy = once(() => sweepSoon(stateDir));
  let overridden: readonly string[] = [];
  const usable = async (): Promise<Runtime> => {
    const runtime = await findRuntime();
    ({ overridden } = runtime);
    return runtime;
  };
  const originOf = async (template: string): Promise<Origin> =>
    (await snapshotOrigin(stateDir, name, template)) ?? {
      template: await ready.resolve(template),
      disk: undefined,
    };
  const probe = (): Promise<Availability> => probeDriver({ preset, stateDir, usable });
  return {
    name,
    isolation,
    capabilities,
    probe,
    snapshots: snapshotShelf(stateDir, name),
    enforcement: (spec) => enforcementReport(preset, spec, overridden),
    async create(spec, signal) {
      enforcementReport(preset, spec, overridden);
      const [runtime, origin] = await Promise.all([usable(), originOf(spec.template)]);
      const { path, version, overridden: escapes } = runtime;
      if (escapes.length > 0)
        recordOverride(stateDir, { driver: name, runtime: path, version, escapes });
      try {
        return await createMachine({
          preset,
          usable,
          stateDir,
          spec: sizedAs(spec, origin),
          signal,
          program: path,
          origin,
        });
      } finally {
        tidy();
      }
    },
    open: (id) => openMachine({ preset, stateDir, usable }, id),
    list: () => {
      tidy();
      return listMachines({ preset, stateDir, usable });
    },
    async sweep() {
      const removed = await sweepMachines(stateDir);
      await releaseStaleIds();
      return removed;
    },
  };
}

/** Every driver of this kind keeps files, and with them snapshots and pauses. */
const capabilities: ReadonlySet<Capability> = new Set(["code", "ports", "pause", "snapshot"]);

/** A snapshot's disk has its own size. */
function sizedAs(spec: SandboxSpec, { disk }: Origin): SandboxSpec {
  if (disk === undefined) return spec;
  return { ...spec, resources: { ...spec.resources, diskMiB: disk.sizeMiB } };
}

interface Place {
  readonly preset: Preset;
  readonly stateDir: string;
  readonly usable: () => Promise<unknown>;
}

async function openMachine({ preset, stateDir, usable }: Place, id: string): Promise<Machine> {
  if (!isMachineId(id)) throw new SandboxError("not-found", "there is no sandbox with this id");
  const places = machinePlaces(stateDir, id);
  const facts = await readFacts(places.facts);
  if (facts?.driver !== preset.name) throw await notFound(stateDir, id);
  try {
    const access = accessOf({ preset, usable }, places, { ...facts, own: false });
    return await agentMachine({ ...access, release: releaseStaleIds });
  } catch (cause) {
    const error = SandboxError.from(cause);
    if (error.code !== "lost") throw error;
    throw await notFound(stateDir, id, error);
  }
}

/** With why it ended, where that is still known. */
async function notFound(stateDir: string, id: string, cause?: unknown): Promise<SandboxError> {
  const reason = await readEndNote(stateDir, id);
  if (reason === undefined)
    return new SandboxError("not-found", `there is no sandbox ${id}`, { cause });
  const { message, mend } = endedError(id, reason);
  return new SandboxError("not-found", message, { cause, ...(mend === undefined ? {} : { mend }) });
}

async function* listMachines({ preset, stateDir }: Place): AsyncGenerator<MachineInfo> {
  for (const id of await machineIds(stateDir)) {
    const places = machinePlaces(stateDir, id);
    const facts = await readFacts(places.facts);
    if (facts?.driver !== preset.name) continue;
    const told = (await runningInfo(places.socket)) ?? (await restingIfKnown(places));
    if (told !== undefined) yield machineInfo(id, facts, told);
  }
}

function machineInfo(id: string, facts: MachineFacts, told: ControlInfo): MachineInfo {
  const { driver, template, metadata, resources } = facts;
  const { supervisorPid: _, detached: __, ...lease } = told;
  return { id, driver, template, metadata, resources, ...lease };
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

/** Gives back what dead processes left, beside whatever this process does. What it could not, the next one tries. */
function sweepSoon(stateDir: string): void {
  setTimeout(() => {
    sweepMachines(stateDir).then(releaseStaleIds, () => undefined);
  }, sweepDelayMs).unref();
}

function once(act: () => void): () => void {
  let done = false;
  return () => {
    if (!done) act();
    done = true;
  };
}
