import type { EngineCall } from "../microvm/engine.ts";
import { work } from "./jail.ts";

/** All of a machine that Firecracker is told, but for what is on its disks. */
export interface MachineShape {
  readonly memoryMiB: number;
  readonly processors: number;
  /** Of the writable disk, as Firecracker takes it. */
  readonly rateLimiter: object | undefined;
}

/** Firecracker's names of the disks, in the order in which the machine's kernel finds them; each is a file of that name. */
export const disks = ["guest", "template", "disk.img"] as const;
/** What the machine's kernel calls them. */
export const devices = { guest: "vda", template: "vdb", writable: "vdc" } as const;

/** The agent's port, and where Firecracker listens for whoever asks for it. */
export const agentPort = 1024;
export const socketName = "v.sock";
/** Every machine has the same: none can reach another. */
const guestCid = 3;

const kernelArguments =
  "quiet reboot=k panic=-1 random.trust_cpu=on audit=0 8250.nr_uarts=0 " +
  "i8042.noaux i8042.nomux i8042.dumbkbd pci=off cofferdam.stream=vsock";

/** Makes a machine and boots it. */
export function bootCalls(shape: MachineShape): readonly EngineCall[] {
  const { memoryMiB, processors } = shape;
  return [
    put("/machine-config", { vcpu_count: processors, mem_size_mib: memoryMiB }),
    put("/boot-source", {
      kernel_image_path: work("vmlinux"),
      initrd_path: work("initramfs"),
      boot_args: kernelArguments,
    }),
    ...disks.map((name) => disk(name, shape)),
    put("/vsock", { guest_cid: guestCid, uds_path: socketName }),
    put("/entropy", {}),
    put("/balloon", { amount_mib: 0, deflate_on_oom: true, free_page_reporting: true }),
    put("/actions", { action_type: "InstanceStart" }),
  ];
}

/** Writes down a machine that stands still. */
export const saveCalls: readonly EngineCall[] = [
  { method: "PATCH", path: "/vm", body: { state: "Paused" } },
  put("/snapshot/create", {
    snapshot_type: "Full",
    snapshot_path: "devices",
    mem_file_path: "memory",
  }),
];

/** Goes on with what was written down. Its memory is a private mapping: machines share what none has changed. */
export const loadCalls: readonly EngineCall[] = [
  put("/snapshot/load", {
    snapshot_path: work("devices"),
    mem_backend: { backend_type: "File", backend_path: work("memory") },
    resume_vm: true,
  }),
];

function disk(name: (typeof disks)[number], { rateLimiter }: MachineShape): EngineCall {
  const isWritable = name === "disk.img";
  const id = isWritable ? "disk" : name;
  return put(`/drives/${id}`, {
    drive_id: id,
    path_on_host: work(name),
    is_root_device: false,
    is_read_only: !isWritable,
    ...(isWritable && rateLimiter !== undefined ? { rate_limiter: rateLimiter } : {}),
  });
}

function put(path: string, body: EngineCall["body"]): EngineCall {
  return { method: "PUT", path, body };
}
