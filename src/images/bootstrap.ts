import { lstat, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { SandboxError } from "../core/errors.ts";
import { hostSources, keyring, sourceLines, type Sources } from "./debian-sources.ts";
import { buildError } from "./build-error.ts";
import { isMissing } from "./file-errors.ts";
import { quoted, writeHook } from "./hook.ts";
import { builderOptions } from "./image-scripts.ts";
import { hostCommand } from "./host-command.ts";
import type { ImagePlan } from "./plan.ts";
import { progressReader, type BuildProgress } from "./progress.ts";

export interface BootstrapOptions {
  /** An empty directory of the build's own. */
  readonly directory: string;
  /** A lock's descriptor that the build holds as long as any of it lives. */
  readonly descriptor: number;
  readonly onProgress: (progress: BuildProgress) => void;
  readonly signal: AbortSignal | undefined;
}

/** The mounts of a build die with its namespace, and all its processes with their first one, which dies with its maker. */
const pdeathsig = ["setpriv", "--pdeathsig", "KILL"] as const;
const namespaces =
  "unshare --mount --propagation private --ipc --uts --pid --fork --kill-child=KILL --mount-proc";

/** Makes a root filesystem from a plan at `<directory>/rootfs`. Throws `unavailable`, `denied`, `disk-full`, `cancelled`, `invalid`. */
export async function bootstrap(plan: ImagePlan, options: BootstrapOptions): Promise<string> {
  const { directory, descriptor, onProgress, signal } = options;
  await requireKeyring();
  const sources = await hostSources(signal);
  const hook = await writeHook(join(directory, "hook"), plan);
  const rootfs = join(directory, "rootfs");
  const read = progressReader();
  const { exitCode, lines } = await hostCommand(
    [
      ...pdeathsig,
      ...namespaces.split(" "),
      "mmdebstrap",
      ...mmdebstrapArguments(plan, { sources, hook, rootfs }),
    ],
    {
      signal,
      descriptor,
      onLine(line) {
        const progress = read(line);
        if (progress !== undefined) onProgress(progress);
      },
    },
  );
  if (exitCode !== 0) throw buildError(plan, lines);
  await emptyDirectory(join(rootfs, "dev"));
  return rootfs;
}

interface Places {
  readonly sources: Sources;
  readonly hook: string;
  readonly rootfs: string;
}

function mmdebstrapArguments(plan: ImagePlan, { sources, hook, rootfs }: Places): string[] {
  return [
    "--verbose",
    ...builderOptions,
    ...plan.exclude.map((pattern) => `--dpkgopt=path-exclude=${pattern}`),
    ...plan.keep.map((pattern) => `--dpkgopt=path-include=${pattern}`),
    ...(plan.packages.length === 0 ? [] : [`--include=${plan.packages.join(",")}`]),
    `--customize-hook=sh ${quoted(hook)} "$1"`,
    plan.suite,
    rootfs,
    ...sourceLines(plan.suite, sources),
  ];
}

async function requireKeyring(): Promise<void> {
  try {
    await lstat(keyring);
  } catch (error) {
    if (!isMissing(error)) throw error;
    throw new SandboxError("unavailable", "Debian's keys are not on this host", {
      cause: error,
      mend: "install them: apt-get install debian-archive-keyring",
    });
  }
}

/** The builder's device nodes; a machine's own are made by its runtime. */
async function emptyDirectory(path: string): Promise<void> {
  if (!(await lstat(path)).isDirectory())
    throw new SandboxError("invalid", "/dev of the image is not a directory", { field: "run" });
  for (const name of await readdir(path)) await rm(join(path, name), { recursive: true });
}
