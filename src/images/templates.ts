import { mkdir } from "node:fs/promises";
import { SandboxError } from "../core/errors.ts";
import { bootstrap } from "./bootstrap.ts";
import { fileError } from "./file-errors.ts";
import { hostCommand } from "./host-command.ts";
import { inspectRoot } from "./inspect-root.ts";
import { lock, type Lock } from "./lock.ts";
import { builtinTemplates, imagePlan, type ImagePlan } from "./plan.ts";
import type { BuildProgress } from "./progress.ts";
import { templateName } from "./recipe.ts";
import { templateStore, type Template, type TemplateStore } from "./template-store.ts";
import { machinesByLayer } from "./uses.ts";

export type { Template } from "./template-store.ts";
export { builtinTemplates } from "./plan.ts";

interface BuildOptions {
  readonly onProgress?: (progress: BuildProgress) => void;
  /** Ends the build; nothing of it is left then. */
  readonly signal?: AbortSignal;
  /** Builds anew what is up to date. */
  readonly force?: boolean;
}

/** A template in a list. */
export interface ListedTemplate extends Template {
  /** A built-in one whose recipe has changed since it was built. */
  readonly outdated: boolean;
}

/** The templates of a state directory. */
export interface Templates {
  /** The template that a name stands for. Cheap. Throws `invalid` (the name), `not-found`, `denied` (not root). */
  resolve(name: string): Promise<Template>;
  /** Whether the name stands for a template. Throws `invalid`. */
  has(name: string): Promise<boolean>;
  /**
   * Builds a built-in template, or the recipe at a path (which holds a slash), unless that very image is here.
   *
   * A second build of the same template waits for the first and takes its result. Throws `invalid` (the recipe), `not-found`,
   * `denied` (not root), `unavailable` (a tool or the network), `disk-full`, `cancelled`, `exited` (the recipe's commands),
   * `conflict` (forced, and a machine uses it).
   */
  build(nameOrPath: string, options?: BuildOptions): Promise<Template>;
  list(): Promise<readonly ListedTemplate[]>;
  /** Removes a template and its older images. Throws `not-found`, `conflict` (a machine uses it, or it is being built). */
  remove(name: string): Promise<void>;
}

/** An image that a machine resolved may not stand in that machine's plan yet. */
const graceMs = 60_000;

export function templates(stateDir: string): Templates {
  const store = templateStore(stateDir);
  const use: Use = { store, stateDir };
  return {
    resolve: async (name) => (await current(store, checked(name))) ?? notBuilt(name),
    has: async (name) => (await current(store, checked(name))) !== undefined,
    build: (nameOrPath, options = {}) => build(use, nameOrPath, options),
    list: () => list(store),
    remove: async (name) => remove(use, checked(name)),
  };
}

interface Use {
  readonly store: TemplateStore;
  readonly stateDir: string;
}

async function current(store: TemplateStore, name: string): Promise<Template | undefined> {
  try {
    return await store.current(name);
  } catch (error) {
    throw fileError(error, `find the template ${name}`);
  }
}

function checked(name: string): string {
  if (templateName.test(name)) return name;
  throw new SandboxError("invalid", "template: expected a template's name", {
    field: "template",
    mend: "a name is made of lower-case letters, digits, dots, - and _",
  });
}

function notBuilt(name: string): never {
  throw new SandboxError("not-found", `the template ${name} is not on this host`, {
    field: "template",
    mend: builtinTemplates.includes(name)
      ? `cofferdam template build ${name}`
      : "cofferdam template ls lists those that are",
  });
}

async function build(use: Use, nameOrPath: string, options: BuildOptions): Promise<Template> {
  const { signal, onProgress = () => undefined, force = false } = options;
  const plan = await imagePlan(nameOrPath);
  const { store } = use;
  requireRoot();
  try {
    const before = await store.current(plan.name);
    await mkdir(use.stateDir, { recursive: true });
    await using held = await lock(store.lockFile(plan.name), {
      signal,
      whenHeld: () => {
        onProgress({ stage: "waiting for another build of it", percent: undefined, detail: "" });
      },
    });
    const present = await store.find(plan.name, plan.digest);
    const madeMeanwhile = present !== undefined && isNewer(present, before);
    if (present !== undefined && (!force || madeMeanwhile)) {
      if ((await store.current(plan.name))?.digest !== plan.digest)
        await store.makeCurrent(plan.name, plan.digest);
      await prune(use, plan);
      return present;
    }
    if (force) await refuseUsed(use, plan.name, [plan.digest]);
    await store.sweep(plan.name);
    const made = await make(use, { plan, held, onProgress, signal });
    await prune(use, plan);
    return made;
  } catch (error) {
    throw fileError(error, `build the template ${plan.name}`);
  }
}

function isNewer(present: Template, before: Template | undefined): boolean {
  return before === undefined || present.createdAt.getTime() !== before.createdAt.getTime();
}

function requireRoot(): void {
  if (process.getuid?.() === 0) return;
  throw new SandboxError("denied", "only root can build and remove templates", {
    mend: "run it with sudo",
  });
}

interface Make {
  readonly plan: ImagePlan;
  readonly held: Lock;
  readonly onProgress: (progress: BuildProgress) => void;
  readonly signal: AbortSignal | undefined;
}

async function make({ store }: Use, { plan, held, onProgress, signal }: Make): Promise<Template> {
  const directory = await store.workDirectory(plan.name);
  try {
    const { descriptor } = held;
    const rootfs = await bootstrap(plan, { directory, descriptor, onProgress, signal });
    onProgress({ stage: "writing it to the disk", percent: 98, detail: "" });
    const sizeBytes = await inspectRoot(rootfs);
    await hostCommand(["sync", "--file-system", rootfs], { signal });
    const made = await store.publish(plan, { directory, sizeBytes });
    onProgress({ stage: "ready", percent: 100, detail: "" });
    return made;
  } catch (error) {
    await store.sweep(plan.name);
    throw error;
  }
}

/** Removes the images that the name stood for before, once nobody uses them. */
async function prune({ store, stateDir }: Use, { name, digest }: ImagePlan): Promise<void> {
  const since = await store.currentSince(name);
  if (Date.now() - since.getTime() < graceMs) return;
  const others = (await store.digests(name)).filter((each) => each !== digest);
  if (others.length === 0) return;
  const machines = await machinesByLayer(stateDir);
  for (const each of others) {
    const old = await store.find(name, each);
    if (old === undefined || !machines.has(old.rootfs)) await store.removeDigest(name, each);
  }
}

async function refuseUsed(
  { store, stateDir }: Use,
  name: string,
  digests: readonly string[],
): Promise<void> {
  const machines = await machinesByLayer(stateDir);
  for (const digest of digests) {
    const template = await store.find(name, digest);
    const users = template === undefined ? undefined : machines.get(template.rootfs);
    if (users !== undefined)
      throw new SandboxError("conflict", `the template ${name} is used by ${users[0] ?? ""}`, {
        field: "template",
        mend: `end the sandboxes that use it first: cofferdam kill ${users.slice(0, 3).join(" ")}`,
      });
  }
}

async function allNames(store: TemplateStore): Promise<readonly string[]> {
  try {
    return await store.names();
  } catch (error) {
    throw fileError(error, "list the templates");
  }
}

async function list(store: TemplateStore): Promise<readonly ListedTemplate[]> {
  const listed: ListedTemplate[] = [];
  for (const name of await allNames(store)) {
    const template = await current(store, name);
    if (template === undefined) continue;
    const outdated =
      builtinTemplates.includes(name) && (await imagePlan(name)).digest !== template.digest;
    listed.push({ ...template, outdated });
  }
  return listed;
}

async function remove(use: Use, name: string): Promise<void> {
  const { store } = use;
  requireRoot();
  if ((await store.current(name)) === undefined) notBuilt(name);
  await using _ = await lock(store.lockFile(name), { whenHeld: "refuse" });
  const digests = await store.digests(name);
  await refuseUsed(use, name, digests);
  await store.retire(name);
  for (const digest of digests) await store.removeDigest(name, digest);
  await store.sweep(name);
}
