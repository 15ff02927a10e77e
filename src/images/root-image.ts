import { createHash, randomUUID } from "node:crypto";
import { chmod, mkdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { SandboxError } from "../core/errors.ts";
import { fileError, isMissing } from "./file-errors.ts";
import { hostCommand } from "./host-command.ts";
import { lock } from "./lock.ts";
import { machinesByLayer, names } from "./uses.ts";
import { type KnownFile, sha256Of, verified } from "./verified.ts";

const pageSchema = z.object({
  version: z.literal(1),
  directory: z.string(),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
});
const mend = "remove it; it is made anew for the next machine";
/** Every image has the same: nobody finds one by it. */
const noId = "00000000-0000-0000-0000-000000000000";

/**
 * A directory that is never written to, as a read-only file system in a file, for machines that mount it themselves. Made once
 * and shared by all; `cofferdam template build` makes a new directory and not another content.
 *
 * Throws `untrusted` when it is not what was made, `unavailable` (no mkfs.erofs), `disk-full`.
 */
export async function rootImage(stateDir: string, directory: string): Promise<KnownFile> {
  const name = createHash("sha256").update(directory).digest("hex");
  const at = join(stateDir, "images");
  const path = join(at, `${name}.erofs`);
  const present = await knownImage(at, name, directory);
  if (present !== undefined) return present;
  await using _ = await lock(join(at, `.${name}.lock`), { whenHeld: () => undefined });
  const meanwhile = await knownImage(at, name, directory);
  if (meanwhile !== undefined) return meanwhile;
  const aside = join(at, `.${randomUUID()}.new`);
  try {
    await makeImage(directory, aside);
    await chmod(aside, 0o644);
    const page = { version: 1, directory, sha256: await sha256Of(aside) };
    await rename(aside, path);
    await writeFile(`${aside}.json`, JSON.stringify(page), { mode: 0o600 });
    await rename(`${aside}.json`, join(at, `${name}.json`));
    await removeUnused(stateDir, at);
    return { path, sha256: page.sha256 };
  } catch (error) {
    throw fileError(error, "make a root image");
  } finally {
    await rm(aside, { force: true });
    await rm(`${aside}.json`, { force: true });
  }
}

async function knownImage(
  at: string,
  name: string,
  directory: string,
): Promise<KnownFile | undefined> {
  const page = await pageOf(join(at, `${name}.json`));
  if (page?.directory !== directory) return undefined;
  const image = { path: join(at, `${name}.erofs`), sha256: page.sha256 };
  if ((await stat(image.path).catch(() => undefined)) === undefined) return undefined;
  await verified(image, mend);
  return image;
}

/** Uncompressed: an emulated processor would take longer to unpack it than a disk to read it. */
async function makeImage(directory: string, file: string): Promise<void> {
  await mkdir(join(file, ".."), { recursive: true, mode: 0o700 });
  const { exitCode, lines } = await hostCommand(["mkfs.erofs", "-U", noId, file, directory]);
  if (exitCode === 0) return;
  throw new SandboxError("internal", `mkfs.erofs failed: ${lines.join(" ").slice(-500)}`);
}

/** Images of directories that are gone, which no machine is made from any more. */
async function removeUnused(stateDir: string, at: string): Promise<void> {
  const machines = await machinesByLayer(stateDir);
  for (const name of await names(at)) {
    if (!name.endsWith(".json") || name.startsWith(".")) continue;
    const page = await pageOf(join(at, name));
    if (page !== undefined && (machines.has(page.directory) || (await isThere(page.directory))))
      continue;
    await rm(join(at, name), { force: true });
    await rm(join(at, name.replace(/\.json$/, ".erofs")), { force: true });
  }
}

async function isThere(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}

async function pageOf(file: string): Promise<z.infer<typeof pageSchema> | undefined> {
  try {
    return pageSchema.safeParse(JSON.parse(await readFile(file, "utf8"))).data;
  } catch (error) {
    if (isMissing(error) || error instanceof SyntaxError) return undefined;
    throw error;
  }
}
