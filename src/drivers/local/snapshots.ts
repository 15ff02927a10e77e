import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, open, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import type { SnapshotInfo, SnapshotShelf } from "../../core/driver.ts";
import { SandboxError } from "../../core/errors.ts";
import { invalid } from "../../core/validate.ts";
import type { CopiedDisk } from "../../guest/control-messages.ts";
import { fileError, isMissing, systemCode } from "../../images/file-errors.ts";
import { languageSchema } from "../../images/recipe.ts";
import type { Template } from "../../images/templates.ts";
import { names } from "../../images/uses.ts";
import { readJson } from "./facts.ts";
import type { MachinePlaces } from "./layout.ts";
import {
  type SharedMemory,
  digestOf,
  sharedMemory,
  sharedOf,
  sharedSchema,
} from "./shared-memory.ts";

const nameForm = /^[a-z0-9][a-z0-9._-]{0,127}$/;
const staleMs = 3_600_000;

const start = z.object({
  envs: z.record(z.string(), z.string()),
  defaultUser: z.string(),
  workdir: z.string(),
  warm: z.array(languageSchema),
});

/** What a machine's plan tells of the template it was made from. */
const planSchema = z.object({
  root: z.object({ lower: z.array(z.string()), disk: z.object({ sizeMiB: z.number() }) }),
  setup: start,
});

const snapshotSchema = z.object({
  version: z.literal(1),
  driver: z.string(),
  template: z.string(),
  kept: z.enum(["files", "memory"]),
  digest: z.string(),
  sizeBytes: z.number(),
  createdAt: z.iso.datetime(),
  diskMiB: z.number(),
  /** The layers that it needs, which are not removed while it stands. */
  root: z.object({ lower: z.array(z.string()) }),
  start,
  memory: sharedSchema.optional(),
});
type Kept = z.infer<typeof snapshotSchema>;

/** What a machine is made from: a template, and the disk of a snapshot where it is one. */
export interface Origin {
  readonly template: Template;
  readonly disk:
    | { readonly blank: string; readonly sizeMiB: number; readonly digest: string }
    | undefined;
  /** What the kernel begins with, where the snapshot has kept it. */
  readonly memory: SharedMemory | undefined;
}

interface Subject {
  readonly driver: string;
  readonly template: string;
  /** What of its environment came with the template: the rest was given to the machine, and stays its own. */
  readonly templateEnvs: Readonly<Record<string, string>>;
  readonly name: string;
}

/** Makes a snapshot of what `copy` copies into a directory beside it. It is there whole, or not at all. */
export async function takeSnapshot(
  places: MachinePlaces,
  { driver, template, templateEnvs, name }: Subject,
  copy: (directory: string) => Promise<CopiedDisk>,
): Promise<SnapshotInfo> {
  const { stateDir } = places;
  if (!nameForm.test(name))
    throw invalid(
      "name",
      "a name is lower-case letters, digits, dots, dashes and underscores",
      "take such a name",
    );
  if (existsSync(directoryOf(stateDir, name)) || existsSync(join(stateDir, "templates", name)))
    throw taken(name);
  const plan = planSchema.parse(await readJson(places.plan));
  await removeStale(stateDir);
  const aside = `.${name}-${randomBytes(6).toString("hex")}`;
  const directory = directoryOf(stateDir, aside);
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    const copied = await copy(aside);
    const memory = await sharedOf(places, plan.root.lower, copied);
    const kept: Kept = {
      version: 1,
      driver,
      template,
      kept: memory === undefined ? "files" : "memory",
      digest: memory === undefined ? copied.digest : digestOf([copied.digest, memory.digest]),
      sizeBytes: copied.sizeBytes + (copied.memory?.sizeBytes ?? 0),
      createdAt: new Date().toISOString(),
      diskMiB: plan.root.disk.sizeMiB,
      root: { lower: plan.root.lower.slice(1) },
      start: { ...plan.setup, envs: { ...templateEnvs } },
      memory,
    };
    await writeThrough(join(directory, "snapshot.json"), JSON.stringify(kept));
    await rename(directory, directoryOf(stateDir, name));
    return infoOf(name, kept);
  } catch (error) {
    await rm(directory, { recursive: true, force: true });
    if (systemCode(error) === "ENOTEMPTY" || systemCode(error) === "EEXIST") throw taken(name);
    throw fileError(error, "take a snapshot");
  }
}

/** The snapshots of one driver in a state directory. */
export function snapshotShelf(stateDir: string, driver: string): SnapshotShelf {
  return {
    async *list() {
      for (const name of (await names(directoryOf(stateDir, ""))).filter((each) =>
        nameForm.test(each),
      )) {
        const kept = snapshotSchema.safeParse(await readSnapshot(stateDir, name)).data;
        if (kept?.driver === driver) yield infoOf(name, kept);
      }
    },
    async remove(name) {
      const kept = nameForm.test(name) ? await readSnapshot(stateDir, name) : undefined;
      if (kept === undefined || snapshotSchema.safeParse(kept).data?.driver !== driver)
        return false;
      const aside = directoryOf(stateDir, `.${name}-${randomBytes(6).toString("hex")}`);
      try {
        await rename(directoryOf(stateDir, name), aside);
      } catch (error) {
        if (isMissing(error)) return false;
        throw error;
      }
      await rm(aside, { recursive: true, force: true });
      return true;
    },
  };
}

/** The snapshot of a name as an origin; `undefined`: there is none. Throws `unsupported` for another driver's, `untrusted`. */
export async function snapshotOrigin(
  stateDir: string,
  driver: string,
  name: string,
): Promise<Origin | undefined> {
  if (!nameForm.test(name)) return undefined;
  const written = await readSnapshot(stateDir, name);
  if (written === undefined) return undefined;
  const known = snapshotSchema.safeParse(written);
  if (!known.success)
    throw new SandboxError(
      "untrusted",
      `the page of the snapshot ${name} is not what was written`,
      {
        field: "template",
        cause: known.error,
      },
    );
  const kept = known.data;
  if (kept.driver !== driver)
    throw new SandboxError("unsupported", `template: ${name} is a snapshot of ${kept.driver}`, {
      field: "template",
      mend: `ask for the driver ${kept.driver}`,
    });
  return originOf(stateDir, name, kept);
}

function originOf(stateDir: string, name: string, kept: Kept): Origin {
  const [rootfs = ""] = kept.root.lower;
  if (!existsSync(rootfs))
    throw new SandboxError("untrusted", `template: the image below the snapshot ${name} is gone`, {
      field: "template",
    });
  const { digest, sizeBytes, diskMiB, memory } = kept;
  if (memory !== undefined && !existsSync(memory.guestLayer))
    throw new SandboxError("unsupported", `template: ${name} holds the memory of an older agent`, {
      field: "template",
      mend: "take the snapshot anew",
    });
  return {
    template: {
      name,
      digest,
      rootfs,
      ...kept.start,
      resources: { diskMiB },
      sizeBytes,
      createdAt: new Date(kept.createdAt),
    },
    disk: {
      blank: join(directoryOf(stateDir, name), "disk.img"),
      sizeMiB: diskMiB,
      digest: memory?.diskDigest ?? digest,
    },
    memory: memory && sharedMemory(directoryOf(stateDir, name), memory),
  };
}

async function readSnapshot(stateDir: string, name: string): Promise<unknown> {
  const file = join(directoryOf(stateDir, name), "snapshot.json");
  return (await readJson(file)) ?? (existsSync(file) ? "not whole" : undefined);
}

function directoryOf(stateDir: string, name: string): string {
  return join(stateDir, "snapshots", name);
}

function infoOf(
  name: string,
  { template, kept, digest, sizeBytes, createdAt }: Kept,
): SnapshotInfo {
  return { name, template, kept, digest, sizeBytes, createdAt: new Date(createdAt) };
}

function taken(name: string): SandboxError {
  return new SandboxError("already-exists", `name: there is a template or snapshot ${name}`, {
    field: "name",
    mend: "take another name, or remove that one first",
  });
}

/** What processes that died have left half-made or half-removed. */
async function removeStale(stateDir: string): Promise<void> {
  for (const name of await names(directoryOf(stateDir, ""))) {
    const directory = directoryOf(stateDir, name);
    if (name.startsWith(".") && (await isStale(directory)))
      await rm(directory, { recursive: true, force: true });
  }
}

async function isStale(path: string): Promise<boolean> {
  try {
    return Date.now() - (await stat(path)).ctimeMs > staleMs;
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}

async function writeThrough(file: string, text: string): Promise<void> {
  const handle = await open(file, "w", 0o600);
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
}
