import { randomUUID } from "node:crypto";
import {
  lstat,
  mkdir,
  readFile,
  readlink,
  rename,
  rm,
  rmdir,
  symlink,
  writeFile,
} from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import type { Language } from "../core/code.ts";
import { SandboxError } from "../core/errors.ts";
import type { Resources } from "../core/spec.ts";
import { isMissing, systemCode } from "./file-errors.ts";
import type { ImagePlan } from "./plan.ts";
import { envsSchema, languageSchema, resourcesSchema, templateName } from "./recipe.ts";
import { names } from "./uses.ts";

/** An image on this host, and what sandboxes made from it start with. */
export interface Template {
  readonly name: string;
  /** SHA-256 of all that decides its content, in hex; also the name of its directory. */
  readonly digest: string;
  /** Absolute path of its root: owned by root, ids from 0 to 65535, never written to. */
  readonly rootfs: string;
  /** Whose processes a sandbox starts when nobody says. */
  readonly defaultUser: string;
  readonly workdir: string;
  readonly envs: Readonly<Record<string, string>>;
  /** Languages whose kernel is started with the sandbox. */
  readonly warm: readonly Language[];
  /** Limits that it asks for where the user says nothing. */
  readonly resources: Partial<Resources>;
  readonly sizeBytes: number;
  readonly createdAt: Date;
}

const digestPattern = /^[0-9a-f]{64}$/;
const factsSchema = z.strictObject({
  version: z.literal(1),
  defaultUser: z.string(),
  workdir: z.string(),
  envs: envsSchema,
  warm: z.array(languageSchema),
  resources: resourcesSchema,
  sizeBytes: z.number(),
  createdAt: z.iso.datetime(),
});

/** The templates of a state directory: `<name>/<digest>/`, and `<name>/current`, a link to one of them. */
interface TemplateReader {
  /** The template that the name stands for now; `undefined`: none. A link, a `stat` and a cached parse. */
  current(name: string): Promise<Template | undefined>;
  /** One by its digest, current or not. */
  find(name: string, digest: string): Promise<Template | undefined>;
  names(): Promise<readonly string[]>;
  digests(name: string): Promise<readonly string[]>;
}

/** The same for somebody who holds the name's lock. */
export interface TemplateStore extends TemplateReader {
  /** When the name was given to the current one. */
  currentSince(name: string): Promise<Date>;
  /** An empty directory to build in, on the same file system. */
  workDirectory(name: string): Promise<string>;
  /** Puts a finished root in its place, where it replaces an equal one, and makes it the current one. */
  publish(plan: ImagePlan, image: BuiltImage): Promise<Template>;
  makeCurrent(name: string, digest: string): Promise<void>;
  /** The name stands for nothing then. Its images stay. */
  retire(name: string): Promise<void>;
  removeDigest(name: string, digest: string): Promise<void>;
  /** Removes what unfinished builds and removals left, and the name's directory when nothing is in it. */
  sweep(name: string): Promise<void>;
  lockFile(name: string): string;
}

/** A work directory whose `rootfs` is complete. */
interface BuiltImage {
  readonly directory: string;
  readonly sizeBytes: number;
}

function templateReader(root: string): TemplateReader {
  const parsed = new Map<string, Parsed>();
  const find = async (name: string, digest: string): Promise<Template | undefined> => {
    if (!digestPattern.test(digest)) return undefined;
    return readTemplate({ name, digest, directory: join(root, name, digest) }, parsed);
  };
  return {
    find,
    async current(name) {
      const digest = await linkTarget(join(root, name, "current"));
      return digest === undefined ? undefined : find(name, digest);
    },
    async names() {
      return (await names(root)).filter((name) => templateName.test(name)).toSorted();
    },
    async digests(name) {
      return (await names(join(root, name))).filter((entry) => digestPattern.test(entry));
    },
  };
}

/** Nothing is written before a method is called that writes. */
export function templateStore(stateDir: string): TemplateStore {
  const root = join(stateDir, "templates");
  const at = (name: string, entry = ""): string => join(root, name, entry);
  const reader = templateReader(root);
  const makeCurrent = async (name: string, digest: string): Promise<void> => {
    const aside = at(name, `.link-${randomUUID()}`);
    await symlink(digest, aside);
    await rename(aside, at(name, "current"));
  };
  const removeDigest = async (name: string, digest: string): Promise<void> => {
    const aside = at(name, `.removed-${randomUUID()}`);
    if (await exists(at(name, digest))) await rename(at(name, digest), aside);
    await removeTree(aside);
  };
  return {
    ...reader,
    makeCurrent,
    removeDigest,
    currentSince: async (name) => (await lstat(at(name, "current"))).mtime,
    async workDirectory(name) {
      await mkdir(at(name), { recursive: true, mode: 0o700 });
      const path = at(name, `.building-${randomUUID()}`);
      await mkdir(path, { mode: 0o700 });
      return path;
    },
    async publish(plan, { directory, sizeBytes }) {
      await writeFile(join(directory, "template.json"), factsOf(plan, sizeBytes), { mode: 0o600 });
      await rm(join(directory, "hook"), { recursive: true, force: true });
      await removeDigest(plan.name, plan.digest);
      await rename(directory, at(plan.name, plan.digest));
      await makeCurrent(plan.name, plan.digest);
      const template = await reader.find(plan.name, plan.digest);
      if (template !== undefined) return template;
      throw new SandboxError("internal", `the template ${plan.name} is gone right after its build`);
    },
    retire: (name) => rm(at(name, "current"), { force: true }),
    async sweep(name) {
      const left = (await names(at(name))).filter((entry) => entry.startsWith("."));
      for (const entry of left) await removeTree(at(name, entry));
      await removeIfEmpty(at(name));
    },
    lockFile: (name) => join(root, ".locks", name),
  };
}

interface Parsed {
  readonly signature: string;
  readonly template: Template;
}

interface Place {
  readonly name: string;
  readonly digest: string;
  readonly directory: string;
}

async function readTemplate(
  place: Place,
  parsed: Map<string, Parsed>,
): Promise<Template | undefined> {
  const file = join(place.directory, "template.json");
  try {
    const { ino, size, mtimeMs } = await lstat(file);
    const signature = `${ino} ${size} ${mtimeMs}`;
    const known = parsed.get(file);
    if (known?.signature === signature) return known.template;
    const facts = factsSchema.safeParse(JSON.parse(await readFile(file, "utf8")));
    if (!facts.success) return undefined;
    const { version: _, createdAt, ...rest } = facts.data;
    const rootfs = join(place.directory, "rootfs");
    const template = {
      name: place.name,
      digest: place.digest,
      rootfs,
      ...rest,
      createdAt: new Date(createdAt),
    };
    parsed.set(file, { signature, template });
    return template;
  } catch (error) {
    if (isMissing(error) || error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function factsOf(plan: ImagePlan, sizeBytes: number): string {
  const { defaultUser, workdir, envs, warm, resources } = plan;
  const createdAt = new Date().toISOString();
  const facts = { version: 1, defaultUser, workdir, envs, warm, resources, sizeBytes, createdAt };
  return `${JSON.stringify(facts, undefined, 2)}\n`;
}

async function linkTarget(path: string): Promise<string | undefined> {
  try {
    return await readlink(path);
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

/** A tree without following its links. Refuses one that something is mounted in. */
async function removeTree(path: string): Promise<void> {
  const mounts = await readFile("/proc/self/mountinfo", "utf8");
  const inside = mounts
    .split("\n")
    .some((line) => `${line.split(" ")[4] ?? ""}/`.startsWith(`${path}/`));
  if (inside)
    throw new SandboxError("conflict", `something is mounted below ${path}`, {
      mend: "unmount it; findmnt shows it",
    });
  await rm(path, { recursive: true, force: true, maxRetries: 5 });
}

async function removeIfEmpty(path: string): Promise<void> {
  try {
    await rmdir(path);
  } catch (error) {
    if (!isMissing(error) && systemCode(error) !== "ENOTEMPTY") throw error;
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}
