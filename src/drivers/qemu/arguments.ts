import type { Accelerator, MachineShape } from "./shape.ts";

/** Where the engine finds its files. */
export interface EnginePlaces {
  readonly firmware: string;
  readonly vmlinux: string;
  readonly initramfs: string;
  /** A file with the machine's memory. */
  readonly memory: { readonly path: string; readonly writable: boolean };
  /** How fast the host's clock of cycles goes, which an emulated kernel cannot find out on a busy host. */
  readonly tscKhz: number;
  /** Images by what their disks call themselves; a disk without one is empty. */
  readonly disks: readonly DiskPlace[];
}

export interface DiskPlace {
  readonly serial: string;
  readonly path: string;
  readonly writable: boolean;
}

/** The agent's port, as the engine's descriptor 3. */
const agentDescriptor = 3;

/**
 * The engine's command line. The same shape gives the same machine, whatever is on its disks: a state that was saved of one can be
 * loaded into another.
 */
export function engineArguments(
  program: string,
  shape: MachineShape,
  places: EnginePlaces,
): [string, ...string[]] {
  const { accelerator, memoryMiB, processors } = shape;
  const speed = accelerator === "tcg" ? `tcg,thread=multi,tb-size=${translationMiB}` : "kvm";
  const options = [
    ["-nodefaults", "-no-user-config", "-nographic", "-no-reboot"],
    ["-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"],
    ["-L", places.firmware],
    ["-M", "microvm,memory-backend=ram,rtc=on,isa-serial=off,x-option-roms=on"],
    ["-accel", speed, "-cpu", accelerator === "tcg" ? emulatedProcessor : "host"],
    ["-smp", String(processors), "-m", `${memoryMiB}M`],
    ["-object", memory(memoryMiB, places.memory)],
    ["-kernel", places.vmlinux, "-initrd", places.initramfs],
    ["-append", kernelArguments(accelerator, places.tscKhz)],
    ["-device", "virtio-serial-device,id=serial"],
    ["-chardev", `socket,id=agent,fd=${agentDescriptor}`],
    ["-device", "virtserialport,bus=serial.0,chardev=agent,name=cofferdam.agent"],
    ["-device", "virtio-rng-device"],
    ...places.disks.map(disk),
  ];
  return [program, ...options.flat()];
}

/** What the emulator keeps of the guest's code in its own. MiB. */
export const translationMiB = 64;
/** One that emulation has little to do for: of x86-64-v2, as Debian's programs may be built. */
const emulatedProcessor = "Nehalem,rdrand=on,tsc-deadline=off";

function memory(memoryMiB: number, { path, writable }: EnginePlaces["memory"]): string {
  // What is saved is written into the file; what is started from it gets pages of its own where it writes.
  const access = writable ? "share=on" : "share=off,readonly=on,rom=off";
  return `memory-backend-file,id=ram,size=${memoryMiB}M,mem-path=${path},${access}`;
}

function disk({ serial, path, writable }: DiskPlace): readonly string[] {
  const node = `{"driver":"raw","node-name":"${serial}","read-only":${!writable},"discard":"unmap","file":{"driver":"file","filename":"${path}","locking":"off","aio":"threads"}}`;
  return ["-blockdev", node, "-device", `virtio-blk-device,drive=${serial},serial=${serial}`];
}

function kernelArguments(accelerator: Accelerator, tscKhz: number): string {
  const always = "quiet reboot=t panic=-1 random.trust_cpu=on audit=0 cofferdam.stream=serial";
  if (accelerator === "kvm") return always;
  // What mitigates a processor's guessing ahead slows one down that does not.
  return `${always} tsc_early_khz=${tscKhz} tsc=nowatchdog mitigations=off`;
}
