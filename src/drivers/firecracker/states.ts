import { createHash, randomUUID } from "node:crypto";
import {
  chmod,
  chown,
  mkdir,
  open,
  readFile,
  rename,
  rm,
  stat,
  utimes,
  writeFile,
} from "node:fs/promises";
import { cpus } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import { SandboxError } from "../../core/errors.ts";
import { fileError, isMissing } from "../../images/file-errors.ts";
import { hostCommand } from "../../images/host-command.ts";
import { lock } from "../../images/lock.ts";
import { names } from "../../images/uses.ts";
import { type KnownFile, sha256Of, verified } from "../../images/verified.ts";
import { type Saving, saveState } from "./save.ts";
import { isSigned, signatureOf, signingKey } from "./signature.ts";

/** A machine's memory and devices at the moment when its kernel has booted and its agent waits for its first order. */
export interface SavedState {
  readonly memory: string;
  readonly devices: string;
}

export interface StateWanted extends Omit<Saving, "directory" | "files"> {
  readonly stateDir: string;
  /** What Firecracker boots or runs under, by its name. */
  readonly known: Readonly<Record<string, KnownFile>>;
}

const factsSchema = z.strictObject({
  firecracker: z.string(),
  processor: z.string(),
  shape: z.string(),
  files: z.record(z.string(), z.string()),
});
/** All that a state depends on; files by their digests. */
interface Facts {
  readonly firecracker: string;
  readonly processor: string;
  readonly shape: string;
  readonly files: Readonly<Record<string, string>>;
}

const pageSchema = z.strictObject({
  version: z.literal(1),
  facts: factsSchema,
  memorySha256: z.string(),
  devicesSha256: z.string(),
});
const signedSchema = z.strictObject({ page: z.string(), signature: z.string() });
/** A state is as large as a booted kernel; the ones that were not used for longest go first. */
const mostStates = 12;
const mend = "remove it; it is made anew for the next machine";

/**
 * The state that machines of a shape start from, which none of them can write to. The first of a shape boots it.
 *
 * Its page is signed with this host's key and names the digests of both files; all is verified before Firecracker, which trusts
 * what it loads, sees it. Throws `untrusted` for one that is not what was saved, or was made by another Firecracker, for another
 * kernel or on another processor.
 */
export async function savedState(wanted: StateWanted): Promise<SavedState> {
  const facts = factsOf(wanted);
  const key = createHash("sha256").update(JSON.stringify(facts)).digest("hex").slice(0, 32);
  const root = join(wanted.stateDir, "states");
  const place = { root, path: join(root, `firecracker-${key}`), facts };
  const present = await knownState(place);
  if (present !== undefined) return present;
  await mkdir(root, { recursive: true, mode: 0o711 });
  await using _ = await lock(join(root, `.${key}.lock`), {
    signal: wanted.signal,
    whenHeld: () => undefined,
  });
  return (await knownState(place)) ?? (await makeState(wanted, place));
}

function factsOf({ programs, shape, known }: StateWanted): Facts {
  return {
    firecracker: programs.signature,
    processor: cpus()[0]?.model ?? "",
    shape: JSON.stringify(shape),
    files: Object.fromEntries(Object.entries(known).map(([name, { sha256 }]) => [name, sha256])),
  };
}

export interface StatePlace {
  readonly root: string;
  readonly path: string;
  readonly facts: Facts;
}

/** What was kept at a place, verified; `undefined`: nothing. Throws `untrusted`. */
export async function knownState({
  root,
  path,
  facts,
}: StatePlace): Promise<SavedState | undefined> {
  const file = join(path, "page.json");
  let written: string;
  try {
    written = await readFile(file, "utf8");
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
  const page = await trustedPage(root, path, written);
  refuseOther(page.facts, facts);
  const [memory, devices] = await Promise.all([
    verified({ path: join(path, "memory"), sha256: page.memorySha256 }, mend),
    verified({ path: join(path, "devices"), sha256: page.devicesSha256 }, mend),
  ]);
  const now = new Date();
  await utimes(file, now, now);
  return { memory, devices };
}

async function trustedPage(
  root: string,
  path: string,
  written: string,
): Promise<z.infer<typeof pageSchema>> {
  const key = await signingKey(join(root, "key.pem"));
  try {
    const { page, signature } = signedSchema.parse(JSON.parse(written));
    if (isSigned(page, signature, key)) return pageSchema.parse(JSON.parse(page));
  } catch (cause) {
    if (!(cause instanceof SyntaxError) && !(cause instanceof z.ZodError)) throw cause;
  }
  throw new SandboxError("untrusted", `the saved state ${path} is not signed by this host`, {
    mend,
  });
}

function refuseOther(found: Facts, wanted: Facts): void {
  const what =
    found.firecracker !== wanted.firecracker
      ? "by another Firecracker"
      : found.processor !== wanted.processor
        ? `on another processor (${found.processor})`
        : JSON.stringify(found.files) !== JSON.stringify(wanted.files)
          ? "with another kernel, agent or filter"
          : found.shape !== wanted.shape
            ? "of another machine"
            : undefined;
  if (what === undefined) return;
  throw new SandboxError("untrusted", `the saved state was made ${what}`, { mend });
}

async function makeState(wanted: StateWanted, place: StatePlace): Promise<SavedState> {
  const { known, hostId } = wanted;
  const { root, path, facts } = place;
  const aside = join(root, `.${randomUUID()}.new`);
  try {
    await mkdir(aside, { mode: 0o700 });
    const files = Object.fromEntries(
      Object.entries(known).map(([name, file]) => [name, file.path]),
    );
    await saveState({ ...wanted, files, directory: aside, hostId });
    for (const name of await names(aside))
      if (name !== "memory" && name !== "devices")
        await rm(join(aside, name), { recursive: true, force: true });
    await hostCommand(["fallocate", "--dig-holes", join(aside, "memory")]);
    for (const name of ["memory", "devices"]) await keep(join(aside, name));
    await chmod(aside, 0o711);
    const page = JSON.stringify({
      version: 1,
      facts,
      memorySha256: await sha256Of(join(aside, "memory")),
      devicesSha256: await sha256Of(join(aside, "devices")),
    });
    const signature = signatureOf(page, await signingKey(join(root, "key.pem")));
    await writeFile(join(aside, "page.json"), JSON.stringify({ page, signature }), { mode: 0o600 });
    await rm(path, { recursive: true, force: true });
    await rename(aside, path);
    await removeOldest(root);
  } catch (error) {
    throw fileError(error, "save a booted machine");
  } finally {
    await rm(aside, { recursive: true, force: true });
  }
  const state = await knownState(place);
  if (state !== undefined) return state;
  throw new SandboxError("internal", "a saved state is gone right after it was made");
}

/** Nobody writes to it any more, and every Firecracker may read it. */
async function keep(path: string): Promise<void> {
  await chown(path, 0, 0);
  await chmod(path, 0o444);
  await using file = await open(path, "r");
  await file.sync();
}

/** Machines that were started from one keep what they need of it. */
async function removeOldest(root: string): Promise<void> {
  const used: { readonly name: string; readonly at: number }[] = [];
  for (const name of await names(root)) {
    if (!name.startsWith("firecracker-")) continue;
    const page = await stat(join(root, name, "page.json")).catch(() => undefined);
    used.push({ name, at: page?.mtimeMs ?? 0 });
  }
  const old = used.toSorted((one, other) => other.at - one.at).slice(mostStates);
  for (const { name } of old) await rm(join(root, name), { recursive: true, force: true });
}
