import { createHash, randomUUID } from "node:crypto";
import { lstat, mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileError } from "../file-errors.ts";
import { nativeFile } from "../native.ts";
import { type KnownFile, verified } from "../verified.ts";
import { type ArchiveEntry, cpio } from "./cpio.ts";
import type { StoredKernel } from "./store.ts";

const mend = "fetch it again: cofferdam kernel update";

/** Archives by what they were made from, so that a second machine costs a `stat`. */
const known: Map<string, KnownFile> = new Map();

/**
 * A kernel's first file system: the agent, and the modules that it loads. The same kernel and agent give the same digest.
 *
 * Throws `untrusted` where a module is not what was kept, `unavailable` where the agent was not built.
 */
export async function initramfs(kernel: StoredKernel): Promise<KnownFile> {
  const agent = nativeFile("agent");
  const { ino, size, mtimeNs, ctimeNs } = await lstat(agent, { bigint: true });
  const signature = [kernel.directory, kernel.packageSha256, ino, size, mtimeNs, ctimeNs].join(" ");
  const earlier = known.get(signature);
  if (earlier !== undefined && (await isThere(earlier.path))) return earlier;
  const content = cpio(await entriesOf(kernel, await readFile(agent)));
  const sha256 = createHash("sha256").update(content).digest("hex");
  const made = { path: join(kernel.directory, `initramfs-${sha256}.cpio`), sha256 };
  if (!(await isThere(made.path))) await put(made.path, content);
  known.set(signature, made);
  return made;
}

async function entriesOf(kernel: StoredKernel, agent: Buffer): Promise<readonly ArchiveEntry[]> {
  const modules = await Promise.all(
    kernel.modules.map(async ({ path, sha256 }) => {
      const file = await verified({ path: join(kernel.directory, "modules", path), sha256 }, mend);
      return { path: `modules/${path}`, mode: 0o644, content: await readFile(file) };
    }),
  );
  const stages = new Set(modules.map(({ path }) => dirname(path)));
  const directories = ["dev", "proc", "sys", "modules", ...stages].map((path) => ({
    path,
    mode: 0o755,
    content: undefined,
  }));
  return [...directories, { path: "init", mode: 0o755, content: agent }, ...modules];
}

async function isThere(path: string): Promise<boolean> {
  return (await lstat(path).catch(() => undefined)) !== undefined;
}

async function put(path: string, content: Buffer): Promise<void> {
  const aside = join(dirname(path), `.${randomUUID()}.new`);
  try {
    await mkdir(dirname(path), { recursive: true });
    await writeFile(aside, content, { mode: 0o644 });
    await rename(aside, path);
  } catch (error) {
    throw fileError(error, "make a guest kernel's first file system");
  } finally {
    await rm(aside, { force: true });
  }
}
