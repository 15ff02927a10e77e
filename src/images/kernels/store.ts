import { createHash, randomUUID } from "node:crypto";
import { mkdir, readFile, readdir, rename, rm, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { z } from "zod";
import { SandboxError } from "../../core/errors.ts";
import { fileError, isMissing } from "../file-errors.ts";
import { hostCommand } from "../host-command.ts";
import { names } from "../uses.ts";
import { sha256Of } from "../verified.ts";
import type { ArchivePackage } from "./archive.ts";
import { guestModules } from "./modules.ts";
import { extractVmlinux } from "./vmlinux.ts";

const digest = z.string().regex(/^[0-9a-f]{64}$/);
const pageSchema = z.object({
  version: z.literal(1),
  kernel: z.string(),
  package: z.string(),
  source: z.string(),
  suite: z.string(),
  packageSha256: digest,
  vmlinuxSha256: digest,
  modules: z.array(z.object({ path: z.string(), sha256: digest })),
  fetchedAt: z.iso.datetime(),
});

/** A guest kernel on this host. Digests are SHA-256 in hexadecimal digits. */
export interface StoredKernel {
  /** Debian's version. */
  readonly kernel: string;
  readonly package: string;
  /** The source package that it is built from. */
  readonly source: string;
  readonly suite: string;
  readonly packageSha256: string;
  readonly vmlinuxSha256: string;
  readonly modules: readonly { readonly path: string; readonly sha256: string }[];
  readonly fetchedAt: string;
  readonly directory: string;
  /** Path of the kernel, unpacked. */
  readonly vmlinux: string;
}

const versionForm = /^[0-9][A-Za-z0-9.+~-]{0,63}$/;

export function kernelsDirectory(stateDir: string): string {
  return join(stateDir, "kernels");
}

/** The kernels of a state directory, the oldest first. */
export async function storedKernels(stateDir: string): Promise<readonly StoredKernel[]> {
  const found: StoredKernel[] = [];
  for (const name of await names(kernelsDirectory(stateDir))) {
    const kernel = versionForm.test(name) ? await storedKernel(stateDir, name) : undefined;
    if (kernel !== undefined) found.push(kernel);
  }
  return found.toSorted((one, other) => one.fetchedAt.localeCompare(other.fetchedAt));
}

/** The kernel that machines boot; `undefined`: there is none yet. Throws `untrusted` for a page that is none. */
export async function currentKernel(stateDir: string): Promise<StoredKernel | undefined> {
  try {
    const name = (await readFile(join(kernelsDirectory(stateDir), "current"), "utf8")).trim();
    return await storedKernel(stateDir, basename(name));
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

async function storedKernel(stateDir: string, name: string): Promise<StoredKernel | undefined> {
  const directory = join(kernelsDirectory(stateDir), name);
  try {
    const page = pageSchema.safeParse(
      JSON.parse(await readFile(join(directory, "kernel.json"), "utf8")),
    );
    if (page.success) {
      const { version: _, ...facts } = page.data;
      return { ...facts, directory, vmlinux: join(directory, "vmlinux") };
    }
  } catch (error) {
    if (isMissing(error)) return undefined;
    if (!(error instanceof SyntaxError)) throw error;
  }
  throw new SandboxError("untrusted", `the page of the kernel ${name} is not what was written`, {
    mend: "remove its directory and fetch it again: cofferdam kernel update",
  });
}

export interface FetchedPackage {
  readonly facts: ArchivePackage;
  readonly suite: string;
  readonly file: string;
}

/** Unpacks a kernel's package, whose digest is known to be right, and keeps what machines need of it. */
export async function storeKernel(
  stateDir: string,
  { facts, suite, file }: FetchedPackage,
): Promise<StoredKernel> {
  const root = kernelsDirectory(stateDir);
  const aside = join(root, `.${randomUUID()}.new`);
  try {
    await mkdir(join(aside, "unpacked"), { recursive: true, mode: 0o711 });
    await unpack(file, join(aside, "unpacked"));
    const vmlinux = await extractVmlinux(await readImage(join(aside, "unpacked/boot")));
    await writeFile(join(aside, "vmlinux"), vmlinux, { mode: 0o644 });
    const modules: { path: string; sha256: string }[] = [];
    for (const { path, content } of await guestModules(join(aside, "unpacked"))) {
      await mkdir(join(aside, "modules", path, ".."), { recursive: true });
      await writeFile(join(aside, "modules", path), content);
      modules.push({ path, sha256: createHash("sha256").update(content).digest("hex") });
    }
    await rm(join(aside, "unpacked"), { recursive: true });
    const page = {
      version: 1,
      kernel: facts.version,
      package: facts.name,
      source: facts.source,
      suite,
      packageSha256: facts.sha256,
      vmlinuxSha256: await sha256Of(join(aside, "vmlinux")),
      modules,
      fetchedAt: new Date().toISOString(),
    };
    await writeFile(join(aside, "kernel.json"), `${JSON.stringify(page, undefined, 2)}\n`);
    await put(aside, join(root, facts.version));
  } catch (error) {
    throw fileError(error, "keep a guest kernel");
  } finally {
    await rm(aside, { recursive: true, force: true });
  }
  const kept = await storedKernel(stateDir, facts.version);
  if (kept !== undefined) return kept;
  throw new SandboxError("internal", "a guest kernel is gone right after it was fetched");
}

/** Makes a kernel the one that machines boot from here on. */
export async function makeCurrent(stateDir: string, kernel: StoredKernel): Promise<void> {
  const aside = join(kernelsDirectory(stateDir), `.${randomUUID()}.current`);
  await writeFile(aside, `${kernel.kernel}\n`, { mode: 0o600 });
  await rename(aside, join(kernelsDirectory(stateDir), "current"));
}

async function unpack(file: string, directory: string): Promise<void> {
  const { exitCode, lines } = await hostCommand(["dpkg-deb", "--extract", file, directory]);
  if (exitCode === 0) return;
  throw new SandboxError(
    "untrusted",
    `the kernel's package cannot be unpacked: ${lines.join(" ").slice(0, 300)}`,
    {
      mend: "fetch it again: cofferdam kernel update",
    },
  );
}

async function readImage(boot: string): Promise<Buffer> {
  const name = (await readdir(boot)).find((each) => each.startsWith("vmlinuz-"));
  if (name !== undefined) return readFile(join(boot, name));
  throw new SandboxError("untrusted", "the kernel's package holds no kernel");
}

async function put(aside: string, place: string): Promise<void> {
  const old = `${place}.${randomUUID()}.old`;
  try {
    await rename(place, old);
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
  await rename(aside, place);
  await rm(old, { recursive: true, force: true });
}
