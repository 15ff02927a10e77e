import { createHash, randomUUID } from "node:crypto";
import { cpus } from "node:os";
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
import { join } from "node:path";
import { z } from "zod";
import { SandboxError } from "../../core/errors.ts";
import { fileError, isMissing } from "../../images/file-errors.ts";
import { lock } from "../../images/lock.ts";
import { names } from "../../images/uses.ts";
import { sha256Of, verified } from "../../images/verified.ts";
import { type Saving, saveState } from "./save.ts";
import { requireWay } from "./way.ts";

/** A machine's memory and devices at the moment when its kernel has booted and its agent waits for its first order. */
export interface SavedState {
  readonly memory: string;
  readonly devices: string;
  /** What an engine is told that loads it. */
  readonly commands: string;
  readonly tscKhz: number;
}

export interface StateWanted extends Omit<Saving, "directory"> {
  readonly stateDir: string;
}

const pageSchema = z.object({
  version: z.literal(1),
  made: z.string(),
  memorySha256: z.string(),
  devicesSha256: z.string(),
  tscKhz: z.number(),
});
/** A state is as large as a booted kernel; the ones that were not used for longest go first. */
const mostStates = 12;
const mend = "remove it; it is made anew for the next machine";

/**
 * The state that machines of a shape start from, which none of them can write to. The first of a shape boots it.
 *
 * A state fits the engine, the processor and the kernel that it was made with and no others. Throws `untrusted` for one that is not
 * what was saved.
 */
export async function savedState(wanted: StateWanted): Promise<SavedState> {
  const made = facts(wanted);
  const key = createHash("sha256").update(made).digest("hex").slice(0, 32);
  const root = join(wanted.stateDir, "states");
  const place = join(root, key);
  const present = await knownState(place, made);
  if (present !== undefined) return present;
  await mkdir(root, { recursive: true, mode: 0o711 });
  await requireWay(root);
  await using _ = await lock(join(root, `.${key}.lock`), {
    signal: wanted.signal,
    whenHeld: () => undefined,
  });
  return (await knownState(place, made)) ?? (await makeState(wanted, { root, place, made }));
}

/** All that a state depends on, in words. */
function facts({ engine, shape }: StateWanted): string {
  const { vmlinux, initramfs, ...rest } = shape;
  const kernel = { vmlinux: vmlinux.sha256, initramfs: initramfs.sha256 };
  return JSON.stringify({ engine: engine.signature, processor: processor(), ...rest, ...kernel });
}

function processor(): string {
  return cpus()[0]?.model ?? "";
}

async function knownState(place: string, made: string): Promise<SavedState | undefined> {
  const page = await pageOf(join(place, "page.json"));
  if (page?.made !== made) return undefined;
  const [memory, devices] = await Promise.all([
    verified({ path: join(place, "memory"), sha256: page.memorySha256 }, mend),
    verified({ path: join(place, "devices"), sha256: page.devicesSha256 }, mend),
  ]);
  const now = new Date();
  await utimes(join(place, "page.json"), now, now);
  return { memory, devices, commands: join(place, "commands"), tscKhz: page.tscKhz };
}

interface StatePlace {
  readonly root: string;
  readonly place: string;
  readonly made: string;
}

async function makeState(
  wanted: StateWanted,
  { root, place, made }: StatePlace,
): Promise<SavedState> {
  const aside = join(root, `.${randomUUID()}.new`);
  try {
    await mkdir(aside, { mode: 0o700 });
    await chown(aside, wanted.hostId, wanted.hostId);
    const tscKhz = await saveState({ ...wanted, directory: aside });
    await chown(aside, 0, 0);
    await chmod(aside, 0o711);
    for (const name of ["memory", "devices"]) await keep(join(aside, name));
    await writeFile(join(aside, "commands"), commands, { mode: 0o444 });
    const page = {
      version: 1,
      made,
      memorySha256: await sha256Of(join(aside, "memory")),
      devicesSha256: await sha256Of(join(aside, "devices")),
      tscKhz,
    };
    await writeFile(join(aside, "page.json"), JSON.stringify(page), { mode: 0o600 });
    await rm(place, { recursive: true, force: true });
    await rename(aside, place);
    await removeOldest(root);
  } catch (error) {
    throw fileError(error, "save a booted machine");
  } finally {
    await rm(aside, { recursive: true, force: true });
  }
  const state = await knownState(place, made);
  if (state !== undefined) return state;
  throw new SandboxError("internal", "a saved state is gone right after it was made");
}

/** Nobody writes to it any more, and every engine may read it. */
async function keep(path: string): Promise<void> {
  await chown(path, 0, 0);
  await chmod(path, 0o444);
  const file = await open(path, "r");
  await file.sync();
  await file.close();
}

/** Memory lies in a file of its own, and the machine goes on when the rest is loaded. */
const commands = [
  "migrate_set_capability x-ignore-shared on",
  "migrate_incoming file:/machine/devices",
  "",
].join("\n");

/** Machines that were started from one keep what they need of it. */
async function removeOldest(root: string): Promise<void> {
  const used: { readonly name: string; readonly at: number }[] = [];
  for (const name of await names(root)) {
    if (name.startsWith(".")) continue;
    const page = await stat(join(root, name, "page.json")).catch(() => undefined);
    used.push({ name, at: page?.mtimeMs ?? 0 });
  }
  const old = used.toSorted((one, other) => other.at - one.at).slice(mostStates);
  for (const { name } of old) await rm(join(root, name), { recursive: true, force: true });
}

async function pageOf(file: string): Promise<z.infer<typeof pageSchema> | undefined> {
  try {
    return pageSchema.safeParse(JSON.parse(await readFile(file, "utf8"))).data;
  } catch (error) {
    if (isMissing(error) || error instanceof SyntaxError) return undefined;
    throw error;
  }
}
