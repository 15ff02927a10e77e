import { readFile, readdir } from "node:fs/promises";
import { basename, join } from "node:path";
import { SandboxError } from "../../core/errors.ts";

/** Modules by when the agent loads them; what they need themselves is found in them. */
const wanted: Readonly<Record<string, readonly string[]>> = {
  common: ["virtio_mmio", "virtio_rng", "erofs", "overlay", "ext4"],
  serial: ["virtio_console"],
  vsock: ["vmw_vsock_virtio_transport", "virtio_balloon"],
  disks: ["virtio_blk"],
};

/** A module in the initial file system. */
export interface GuestModule {
  /** `common/03-erofs.ko`: stage, order and name. */
  readonly path: string;
  readonly content: Buffer;
}

/**
 * The modules that a machine needs of an unpacked kernel package, each behind those that it depends on.
 *
 * Throws `untrusted` for a kernel that has one neither as a module nor in itself.
 */
export async function guestModules(unpacked: string): Promise<readonly GuestModule[]> {
  const known = await modulesOf(join(unpacked, "lib/modules"));
  const found: GuestModule[] = [];
  const done = new Set<string>();
  for (const [stage, names] of Object.entries(wanted)) {
    let order = 0;
    const add = async (name: string): Promise<void> => {
      if (done.has(name) || known.builtin.has(name)) return;
      done.add(name);
      const file = known.files.get(name);
      if (file === undefined) throw lacks(name);
      const content = await readFile(file);
      for (const needed of dependenciesOf(content)) await add(needed);
      const place = String((order += 1)).padStart(2, "0");
      found.push({ path: `${stage}/${place}-${name}.ko`, content });
    };
    for (const name of names) await add(name);
  }
  return found;
}

interface KernelModules {
  readonly files: ReadonlyMap<string, string>;
  readonly builtin: ReadonlySet<string>;
}

async function modulesOf(directory: string): Promise<KernelModules> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  const files = entries
    .filter((entry) => entry.isFile() && entry.name.endsWith(".ko"))
    .map((entry) => [nameOf(entry.name), join(entry.parentPath, entry.name)] as const);
  const list = entries.find(({ name }) => name === "modules.builtin");
  const lines =
    list === undefined
      ? []
      : (await readFile(join(list.parentPath, list.name), "utf8")).split("\n");
  return {
    files: new Map(files),
    builtin: new Set(lines.filter((line) => line !== "").map(nameOf)),
  };
}

/** Files and dependencies spell a module with dashes or underscores. */
function nameOf(path: string): string {
  return basename(path, ".ko").replaceAll("-", "_");
}

/** What a module says that it depends on, in the section of facts about it. */
export function dependenciesOf(content: Buffer): readonly string[] {
  const key = Buffer.from("\0depends=");
  const at = content.indexOf(key);
  if (at < 0) return [];
  const end = content.indexOf(0, at + key.length);
  const text = content.subarray(at + key.length, end).toString("latin1");
  return text.split(",").flatMap((name) => (name === "" ? [] : [nameOf(name)]));
}

function lacks(name: string): SandboxError {
  return new SandboxError("untrusted", `the kernel has no module ${name}`, {
    mend: "fetch another: cofferdam kernel update",
  });
}
