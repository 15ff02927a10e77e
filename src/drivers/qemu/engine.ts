import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { releaseIds, reserveIds } from "../local/id-ranges.ts";
import type { Engine, FoundEngine, Vessel, VesselWanted } from "../microvm/engine.ts";
import { type GuestFiles, guestFiles } from "../microvm/guest-files.ts";
import { type Acceleration, acceleration, kvmPatienceMs } from "./accelerator.ts";
import { engineArguments, translationMiB } from "./arguments.ts";
import { qemuEnforcement } from "./enforcement.ts";
import { engineJail, jailed } from "./jail.ts";
import { type QemuProgram, qemuProgram } from "./program.ts";
import type { Accelerator, MachineShape } from "./shape.ts";
import { type SavedState, savedState } from "./states.ts";

/** What QEMU itself takes on the host, and a page table's worth for the machine. MiB. */
const ownMiB = 96;
const ownThreads = 96;
const bootPatienceMs = 120_000;
/** The machine that shows whether KVM runs any. */
const probeShape = { memoryMiB: 128, processors: 1 } as const;

/** QEMU's microVMs below a state directory. */
export function qemuEngine(stateDir: string): Engine {
  return {
    name: "qemu",
    keeps: ["memory", "files"],
    enforcement: qemuEnforcement,
    find: () => findEngine(stateDir),
  };
}

async function findEngine(stateDir: string): Promise<FoundEngine> {
  const engine = await qemuProgram();
  await mkdir(join(stateDir, "engines"), { recursive: true, mode: 0o711 });
  const jail = await engineJail(stateDir, engine.path);
  const speed = await acceleration(stateDir, engine.signature, (groups) =>
    tryKvm({ stateDir, engine, jail, groups }),
  );
  const { accelerator, reason } = speed;
  const emulated =
    accelerator === "kvm"
      ? ["processors of the host, by KVM"]
      : [`processors are emulated (TCG): ${reason}`, "emulation is not a boundary of security"];
  return {
    version: engine.version,
    notes: [engine.path, ...emulated],
    emulated: accelerator === "tcg",
    vessel: (wanted) => vesselOf({ engine, jail, speed }, wanted),
  };
}

interface Found {
  readonly engine: QemuProgram;
  readonly jail: string;
  readonly speed: Acceleration;
}

async function vesselOf({ engine, jail, speed }: Found, wanted: VesselWanted): Promise<Vessel> {
  const { stateDir, spec, guest, hostId, signal } = wanted;
  const { memoryMiB, cpus } = spec.resources;
  const { accelerator, groups } = speed;
  const { vmlinux, initramfs } = guest;
  const processors = Math.max(1, Math.ceil(cpus));
  const shape = { accelerator, memoryMiB, processors, vmlinux, initramfs };
  const patienceMs = bootPatienceMs;
  const making = { stateDir, engine, jail, shape, hostId, groups, signal, patienceMs };
  const state = await savedState(making);
  return {
    start: startWords(shape, state),
    pidFile: "",
    remove: [],
    jail,
    own: "",
    files: vesselFiles(guest, state, accelerator),
    groups,
    stream: { kind: "descriptor" },
    calls: { socket: "", list: [] },
    disks: {
      layers: guest.layers.length > 1 ? ["serial:guest", "serial:template"] : ["serial:guest"],
      writable: "serial:disk",
    },
    overheadMiB: ownMiB + translationMiB,
    threads: ownThreads + processors,
  };
}

/** The command line of an engine in its jail, which starts from a saved state. */
function startWords(shape: MachineShape, { tscKhz }: SavedState): [string, ...string[]] {
  const disks = ["guest", "template", "disk"].map((serial) => ({
    serial,
    path: work(serial === "disk" ? "disk.img" : serial),
    writable: serial === "disk",
  }));
  const places = {
    firmware: jailed.firmware,
    vmlinux: work("vmlinux"),
    initramfs: work("initramfs"),
    memory: { path: work("memory"), writable: false },
    tscKhz,
    disks,
  };
  return [
    ...engineArguments(jailed.program, shape, places),
    "-incoming",
    "defer",
    "-chardev",
    `file,id=commands,path=${work("null")},input-path=${work("commands")}`,
    "-mon",
    "chardev=commands,mode=readline",
  ];
}

/** Where a file is in an engine's jail. */
function work(name: string): string {
  return `${jailed.work}/${name}`;
}

function vesselFiles(
  { vmlinux, initramfs, layers }: GuestFiles,
  { memory, devices, commands }: SavedState,
  accelerator: Accelerator,
): Vessel["files"] {
  const [topmost, template = topmost] = layers;
  const files = {
    vmlinux: vmlinux.path,
    initramfs: initramfs.path,
    memory,
    devices,
    commands,
    guest: topmost?.path ?? "",
    template: template?.path ?? "",
  };
  const devicesOfHost = accelerator === "kvm" ? ["null", "kvm"] : ["null"];
  return [
    ...Object.entries(files).map(([to, from]) => ({ from, to, writable: false })),
    ...devicesOfHost.map((name) => ({ from: `/dev/${name}`, to: name, writable: true })),
  ];
}

/** Boots a small guest by KVM. Throws what its boot does. */
async function tryKvm({
  stateDir,
  engine,
  jail,
  groups,
}: Omit<Found, "speed"> & {
  readonly stateDir: string;
  readonly groups: readonly number[];
}): Promise<void> {
  const { vmlinux, initramfs } = await guestFiles(stateDir, []);
  const claim = await mkdtemp(join(stateDir, "engines", ".kvm-"));
  const range = await reserveIds(claim);
  try {
    const shape = { accelerator: "kvm", ...probeShape, vmlinux, initramfs } as const;
    const { hostId } = range;
    const patienceMs = kvmPatienceMs;
    const signal = undefined;
    await savedState({ stateDir, engine, jail, shape, hostId, groups, signal, patienceMs });
  } finally {
    await releaseIds(range);
    await rm(claim, { recursive: true, force: true });
  }
}
