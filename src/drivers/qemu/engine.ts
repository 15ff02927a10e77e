import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { releaseIds, reserveIds } from "../local/id-ranges.ts";
import type { Engine, FoundEngine, Vessel, VesselWanted } from "../microvm/engine.ts";
import { guestFiles } from "../microvm/guest-files.ts";
import { type Acceleration, acceleration, kvmPatienceMs } from "./accelerator.ts";
import { engineArguments, translationMiB } from "./arguments.ts";
import { qemuEnforcement } from "./enforcement.ts";
import { engineJail, jailed } from "./jail.ts";
import { type QemuProgram, qemuProgram } from "./program.ts";
import { savedState } from "./states.ts";

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
  const shape = {
    accelerator: speed.accelerator,
    memoryMiB,
    processors: Math.max(1, Math.ceil(cpus)),
    vmlinux: guest.vmlinux,
    initramfs: guest.initramfs,
  };
  const { groups } = speed;
  const patienceMs = bootPatienceMs;
  const making = { stateDir, engine, jail, shape, hostId, groups, signal, patienceMs };
  const state = await savedState(making);
  const [topmost, template = topmost] = guest.layers;
  const work = (name: string): string => `${jailed.work}/${name}`;
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
    tscKhz: state.tscKhz,
    disks,
  };
  const files = {
    vmlinux: guest.vmlinux.path,
    initramfs: guest.initramfs.path,
    memory: state.memory,
    devices: state.devices,
    commands: state.commands,
    guest: topmost?.path ?? "",
    template: template?.path ?? "",
  };
  return {
    start: [
      ...engineArguments(jailed.program, shape, places),
      ...["-incoming", "defer", "-mon", "chardev=commands,mode=readline"],
      ...["-chardev", `file,id=commands,path=${work("null")},input-path=${work("commands")}`],
    ],
    pidFile: "",
    remove: [],
    jail,
    files: [
      ...Object.entries(files).map(([to, from]) => ({ from, to, writable: false })),
      { from: "/dev/null", to: "null", writable: true },
      ...(shape.accelerator === "kvm" ? [{ from: "/dev/kvm", to: "kvm", writable: true }] : []),
    ],
    groups,
    stream: { kind: "descriptor" },
    disks: {
      layers: guest.layers.length > 1 ? ["serial:guest", "serial:template"] : ["serial:guest"],
      writable: "serial:disk",
    },
    overheadMiB: ownMiB + translationMiB,
    threads: ownThreads + shape.processors,
  };
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
