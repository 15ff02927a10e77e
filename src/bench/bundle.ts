import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";

/** What a raw container is made from. */
export interface BundleOptions {
  /** The directory to write. */
  readonly directory: string;
  /** The root file system. */
  readonly root: string;
  readonly argv: readonly string[];
}

const namespaces = ["pid", "mount", "ipc", "uts", "network", "cgroup"];

const path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/**
 * Writes an OCI bundle with the namespaces that a sandbox has, no capability and a read-only root.
 *
 * Lighter than a sandbox: no user namespace, no seccomp profile, no disk of its own, no limits, no agent. So it is a floor.
 */
export async function writeBundle(options: BundleOptions): Promise<void> {
  await mkdir(options.directory, { recursive: true });
  await writeFile(join(options.directory, "config.json"), JSON.stringify(configOf(options)));
}

function configOf({ root, argv }: BundleOptions): unknown {
  return {
    ociVersion: "1.0.2",
    process: {
      args: argv,
      cwd: "/",
      env: [`PATH=${path}`, "HOME=/tmp", "LANG=C.UTF-8"],
      user: { uid: 0, gid: 0 },
      capabilities: { bounding: [], effective: [], permitted: [] },
      noNewPrivileges: true,
      terminal: false,
    },
    root: { path: root, readonly: true },
    hostname: "raw",
    mounts: [
      {
        destination: "/proc",
        type: "proc",
        source: "proc",
        options: ["nosuid", "noexec", "nodev"],
      },
      tmpfs("/dev", ["mode=755", "size=65536k", "nosuid"]),
      tmpfs("/tmp", ["mode=1777", "nosuid", "nodev"]),
    ],
    linux: {
      namespaces: namespaces.map((type) => ({ type })),
      maskedPaths: ["/proc/kcore", "/proc/keys", "/proc/sysrq-trigger"],
      readonlyPaths: ["/proc/sys", "/proc/bus", "/proc/irq"],
    },
  };
}

function tmpfs(destination: string, options: readonly string[]): unknown {
  return { destination, type: "tmpfs", source: "tmpfs", options };
}
