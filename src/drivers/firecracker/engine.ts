import { createHash } from "node:crypto";
import { controlGroup } from "../local/layout.ts";
import { limitFiles } from "../local/control-groups.ts";
import type { Engine, FoundEngine, Vessel, VesselWanted } from "../microvm/engine.ts";
import type { KnownFile } from "../../images/verified.ts";
import {
  type MachineShape,
  agentPort,
  bootCalls,
  devices,
  loadCalls,
  socketName,
} from "./calls.ts";
import { firecrackerEnforcement } from "./enforcement.ts";
import { apiSocket, jailRoot, jailerCommand, pidFile } from "./jail.ts";
import { requireKvm, withGuests } from "./kvm.ts";
import { type FirecrackerOptions, rateLimiter, seccompFilter } from "./options.ts";
import { type Programs, findPrograms } from "./programs.ts";
import { savedState } from "./states.ts";

/** What Firecracker itself takes on the host, and the page tables of a machine. MiB. */
const ownMiB = 48;
const ownThreads = 16;
/** Two for an ordinary guest that hangs are too many, and an emulated processor is slow. */
const bootPatienceMs = 60_000;
const mebibyte = 1_048_576;

/** Firecracker's microVMs below a state directory. Throws `invalid` for an option that is none. */
export function firecrackerEngine(options: FirecrackerOptions): Engine {
  rateLimiter(options.diskRate ?? {});
  return {
    name: "firecracker",
    keeps: ["memory", "files"],
    enforcement: (spec) => firecrackerEnforcement(spec, options),
    find: () => findEngine(options),
  };
}

async function findEngine(options: FirecrackerOptions): Promise<FoundEngine> {
  await requireKvm();
  const programs = await findPrograms();
  return {
    version: programs.version,
    notes: [programs.firecracker, programs.jailer],
    emulated: false,
    vessel: (wanted) => vesselOf(options, programs, wanted),
  };
}

async function vesselOf(
  options: FirecrackerOptions,
  programs: Programs,
  wanted: VesselWanted,
): Promise<Vessel> {
  const { places, spec, guest, hostId } = wanted;
  const { memoryMiB, cpus, diskMiB } = spec.resources;
  const shape: MachineShape = {
    memoryMiB,
    processors: processorsFor(cpus),
    rateLimiter: rateLimiter(options.diskRate ?? {}),
  };
  const filter = filterOf(options);
  const start =
    options.start === "cold"
      ? cold(wanted, shape)
      : await saved(wanted, { programs, shape, filter });
  const [topmost, template = topmost] = guest.layers;
  const files = {
    ...start.files,
    guest: topmost?.path ?? "",
    template: template?.path ?? "",
    ...(filter && { seccomp: filter.path }),
  };
  const isVersion2 = limitFiles().memory.startsWith("cgroup v2");
  return {
    start: jailerCommand({
      programs,
      directory: places.directory,
      hostId,
      group: isVersion2 ? controlGroup(places.stateDir, places.id) : undefined,
      fileBytes: diskMiB * mebibyte,
      apart: true,
      seccompFilter: filter !== undefined,
    }),
    pidFile: `${places.directory}/${pidFile(programs)}`,
    remove: [],
    jail: "",
    own: jailRoot(programs),
    files: Object.entries(files).map(([to, from]) => ({ from, to, writable: false })),
    groups: [],
    stream: { kind: "socket", path: `${jailRoot(programs)}/${socketName}`, port: agentPort },
    calls: { socket: `${jailRoot(programs)}/${apiSocket}`, list: start.calls },
    disks: {
      layers: guest.layers.length > 1 ? [devices.guest, devices.template] : [devices.guest],
      writable: devices.writable,
    },
    overheadMiB: ownMiB,
    threads: ownThreads + shape.processors,
  };
}

interface Start {
  readonly files: Readonly<Record<string, string>>;
  readonly calls: Vessel["calls"]["list"];
}

function cold({ guest }: VesselWanted, shape: MachineShape): Start {
  const { vmlinux, initramfs } = guest;
  return {
    files: { vmlinux: vmlinux.path, initramfs: initramfs.path },
    calls: bootCalls(shape),
  };
}

interface Wanted {
  readonly programs: Programs;
  readonly shape: MachineShape;
  readonly filter: KnownFile | undefined;
}

async function saved(
  { stateDir, guest, hostId, signal }: VesselWanted,
  { programs, shape, filter }: Wanted,
): Promise<Start> {
  const { vmlinux, initramfs } = guest;
  const known = { vmlinux, initramfs, ...(filter && { seccomp: filter }) };
  const patienceMs = bootPatienceMs;
  const state = await withGuests(stateDir, programs.signature, () =>
    savedState({ stateDir, programs, shape, known, hostId, signal, patienceMs }),
  );
  return { files: { memory: state.memory, devices: state.devices }, calls: loadCalls };
}

/** Firecracker takes one processor or an even number. */
function processorsFor(cpus: number): number {
  const least = Math.max(1, Math.ceil(cpus));
  return least === 1 ? 1 : least + (least % 2);
}

function filterOf({ seccompFilter: path }: FirecrackerOptions): KnownFile | undefined {
  if (path === undefined) return undefined;
  const sha256 = createHash("sha256").update(seccompFilter(path)).digest("hex");
  return { path, sha256 };
}
