import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { SandboxError } from "../../core/errors.ts";
import { lock } from "../lock.ts";
import { architecture } from "../native.ts";
import { sha256Of } from "../verified.ts";
import { type Archive, type ArchivePackage, openArchive } from "./archive.ts";
import { newestOf, pinnedKernel } from "./pinned.ts";
import {
  type StoredKernel,
  currentKernel,
  kernelsDirectory,
  makeCurrent,
  storeKernel,
  storedKernels,
} from "./store.ts";

export interface KernelFetch {
  readonly signal?: AbortSignal | undefined;
  /** What is being done, in a few words. */
  readonly onStage?: (stage: string) => void;
}

/** The kernel that machines boot. Fetches the pinned one where there is none; what Debian has in its place, where that is gone. */
export async function ensureKernel(
  stateDir: string,
  options: KernelFetch = {},
): Promise<StoredKernel> {
  refuseOtherProcessors();
  const present = await currentKernel(stateDir);
  if (present !== undefined) return present;
  await using _ = await fetching(stateDir, options);
  const meanwhile = await currentKernel(stateDir);
  if (meanwhile !== undefined) return meanwhile;
  return await fetchKernel(stateDir, options);
}

/** Fetches the newest kernel of the pinned suite, unless it is here, and makes it the current one. */
export async function updateKernel(
  stateDir: string,
  options: KernelFetch = {},
): Promise<StoredKernel> {
  refuseOtherProcessors();
  await using _ = await fetching(stateDir, options);
  return await fetchKernel(stateDir, options);
}

async function fetchKernel(
  stateDir: string,
  { signal, onStage }: KernelFetch,
): Promise<StoredKernel> {
  onStage?.("reading Debian's lists");
  await using archive = await openArchive(newestOf.suite, signal);
  const facts = await newest(archive);
  const present = (await storedKernels(stateDir)).find(({ kernel }) => kernel === facts.version);
  const kernel = present ?? (await take(stateDir, { archive, facts, onStage }));
  await makeCurrent(stateDir, kernel);
  return kernel;
}

async function newest(archive: Archive): Promise<ArchivePackage> {
  const [name] = (await archive.dependencies(newestOf.package)).filter((each) =>
    each.startsWith("linux-image-"),
  );
  const facts = name === undefined ? undefined : await archive.find(name);
  if (facts !== undefined) return facts;
  throw new SandboxError("unavailable", `Debian's ${newestOf.suite} has no ${newestOf.package}`);
}

interface Take {
  readonly archive: Archive;
  readonly facts: ArchivePackage;
  readonly onStage: KernelFetch["onStage"];
}

async function take(stateDir: string, { archive, facts, onStage }: Take): Promise<StoredKernel> {
  onStage?.(`downloading ${facts.name} ${facts.version}`);
  const file = await archive.download(facts);
  const wanted = isPinned(facts) ? pinnedKernel.packageSha256 : facts.sha256;
  if ((await sha256Of(file)) !== wanted)
    throw new SandboxError("untrusted", `${facts.name} is not the package that was pinned`, {
      mend: "see which mirror this host's apt is set up for, and update Cofferdam",
    });
  onStage?.("unpacking it");
  const stored = await storeKernel(stateDir, { facts, suite: newestOf.suite, file });
  if (isPinned(facts) && stored.vmlinuxSha256 !== pinnedKernel.vmlinuxSha256)
    throw new SandboxError("untrusted", `the kernel in ${facts.name} is not the pinned one`);
  return stored;
}

function isPinned({ name, version }: ArchivePackage): boolean {
  return name === pinnedKernel.package && version === pinnedKernel.version;
}

async function fetching(
  stateDir: string,
  { signal, onStage }: KernelFetch,
): Promise<AsyncDisposable> {
  // An engine without rights reads the kernel by its path.
  await mkdir(kernelsDirectory(stateDir), { recursive: true, mode: 0o711 });
  return lock(join(kernelsDirectory(stateDir), ".lock"), {
    signal,
    whenHeld: () => onStage?.("waiting for another fetch"),
  });
}

function refuseOtherProcessors(): void {
  if (architecture() === pinnedKernel.architecture) return;
  throw new SandboxError("unsupported", `there is no guest kernel for ${architecture()} yet`, {
    mend: "use a driver that shares the host's kernel",
  });
}
