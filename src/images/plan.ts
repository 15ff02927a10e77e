import { createHash } from "node:crypto";
import { readFile, realpath, stat } from "node:fs/promises";
import { basename, dirname, join, sep } from "node:path";
import type { Language } from "../core/code.ts";
import { SandboxError } from "../core/errors.ts";
import type { Resources } from "../core/spec.ts";
import { isMissing } from "./file-errors.ts";
import { builderOptions, finishScript } from "./image-scripts.ts";
import { architecture } from "./native.ts";
import { packageRoot } from "./package-root.ts";
import { parseRecipe, templateName, type Recipe } from "./recipe.ts";

/** Moves with every change to how a plan becomes an image. */
const format = 1;
const largestFileBytes = 64 * 1_048_576;

/** The recipes that come with the package. */
export const builtinTemplates: readonly string[] = ["base", "code-interpreter"];

/** A file of a recipe, read. */
interface PlannedFile {
  readonly to: string;
  readonly mode: string;
  readonly content: Buffer;
}

/** All that decides what is in an image: a recipe with the one that it adds to, and the content of their files. */
export interface ImagePlan {
  readonly name: string;
  /** SHA-256 of the rest, in hex. */
  readonly digest: string;
  readonly suite: string;
  readonly packages: readonly string[];
  readonly exclude: readonly string[];
  readonly keep: readonly string[];
  readonly files: readonly PlannedFile[];
  /** A shell script. */
  readonly run: string;
  readonly defaultUser: string;
  readonly workdir: string;
  readonly envs: Readonly<Record<string, string>>;
  readonly warm: readonly Language[];
  readonly resources: Partial<Resources>;
}

/**
 * The plan of a built-in template, or of a recipe by its path (which holds a slash): a directory with `recipe.json`, or the file.
 *
 * Throws `invalid` (the recipe), `not-found`.
 */
export async function imagePlan(nameOrPath: string): Promise<ImagePlan> {
  if (builtinTemplates.includes(nameOrPath)) return planOf(builtinRecipe(nameOrPath));
  if (nameOrPath.includes("\0") || !nameOrPath.includes("/"))
    throw new SandboxError(
      "not-found",
      `there is no recipe for a template ${JSON.stringify(nameOrPath.slice(0, 60))}`,
      {
        field: "template",
        mend: `there are ${builtinTemplates.join(" and ")}; write ./${templateName.test(nameOrPath) ? nameOrPath : "directory"} for a recipe of your own`,
      },
    );
  const plan = await planOf(await recipeFile(nameOrPath));
  if (builtinTemplates.includes(plan.name))
    throw new SandboxError("invalid", `name: ${plan.name} is a built-in template's`, {
      field: "name",
      mend: "choose another name",
    });
  return plan;
}

function builtinRecipe(name: string): string {
  return join(packageRoot, "templates", name, "recipe.json");
}

async function recipeFile(path: string): Promise<string> {
  try {
    return (await stat(path)).isDirectory() ? join(path, "recipe.json") : path;
  } catch (error) {
    throw isMissing(error) ? noRecipe(path, error) : error;
  }
}

function noRecipe(path: string, cause: unknown): SandboxError {
  return new SandboxError("not-found", `there is no recipe at ${path}`, {
    field: "template",
    mend: "name a directory with a recipe.json",
    cause,
  });
}

async function planOf(file: string): Promise<ImagePlan> {
  const recipe = parseRecipe(await readText(file), basename(file));
  const parent = recipe.from === undefined ? scratch : await parentPlan(recipe.from);
  const files = recipe.files.map(async ({ from, to, mode }) => ({
    to,
    mode,
    content: await readInside(dirname(file), from),
  }));
  const plan = {
    ...merged(parent, recipe),
    files: [...parent.files, ...(await Promise.all(files))],
  };
  return { ...plan, digest: digestOf(plan) };
}

function parentPlan(name: string): Promise<ImagePlan> {
  if (builtinTemplates.includes(name)) return planOf(builtinRecipe(name));
  throw new SandboxError("not-found", `from: there is no built-in recipe ${name}`, {
    field: "from",
    mend: `use one of ${builtinTemplates.join(", ")}`,
  });
}

type Undigested = Omit<ImagePlan, "digest">;

/** What a recipe without `from` adds to. */
const scratch: Undigested = {
  name: "",
  suite: "",
  packages: [],
  exclude: [],
  keep: [],
  files: [],
  run: "",
  defaultUser: "root",
  workdir: "/root",
  envs: {},
  warm: [],
  resources: {},
};

/** Lists are joined, the parent's first; single values are the recipe's own where it has them. */
function merged(parent: Undigested, recipe: Recipe): Omit<Undigested, "files"> {
  return {
    name: recipe.name,
    suite: recipe.suite ?? parent.suite,
    packages: joined(parent.packages, recipe.packages),
    exclude: joined(parent.exclude, recipe.exclude),
    keep: joined(parent.keep, recipe.keep),
    run: [parent.run, ...recipe.run].join("\n"),
    defaultUser: recipe.defaultUser ?? parent.defaultUser,
    workdir: recipe.workdir ?? parent.workdir,
    envs: { ...parent.envs, ...recipe.envs },
    warm: recipe.warm ?? parent.warm,
    resources: { ...parent.resources, ...recipe.resources },
  };
}

function joined(first: readonly string[], second: readonly string[]): readonly string[] {
  return [...new Set([...first, ...second])];
}

function digestOf(plan: Undigested): string {
  const files = plan.files.map(({ to, mode, content }) => [to, mode, sha256(content)]);
  const builder = { format, architecture: architecture(), builderOptions, finishScript };
  const facts = { builder, ...plan, files };
  return sha256(JSON.stringify(facts));
}

function sha256(content: string | Buffer): string {
  return createHash("sha256").update(content).digest("hex");
}

async function readText(file: string): Promise<string> {
  try {
    return (await readBounded(file)).toString("utf8");
  } catch (error) {
    throw isMissing(error) ? noRecipe(file, error) : error;
  }
}

/** A file of the recipe's directory; one that a link or a path leads out of it is refused. */
async function readInside(directory: string, path: string): Promise<Buffer> {
  try {
    const [root, target] = await Promise.all([
      realpath(directory),
      realpath(join(directory, path)),
    ]);
    if (!target.startsWith(root + sep))
      throw new SandboxError("invalid", `files: ${path} is outside of the recipe's directory`, {
        field: "files",
        mend: "copy it into the recipe's directory",
      });
    return await readBounded(target);
  } catch (error) {
    if (!isMissing(error)) throw error;
    throw new SandboxError("invalid", `files: there is no ${path} beside the recipe`, {
      field: "files",
      cause: error,
    });
  }
}

async function readBounded(file: string): Promise<Buffer> {
  const facts = await stat(file);
  if (facts.isFile() && facts.size <= largestFileBytes) return readFile(file);
  throw new SandboxError("invalid", `${file} is not a file of at most 64 MiB`, {
    field: "template",
  });
}
