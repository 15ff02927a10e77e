import { z } from "zod";
import { languages, type Language } from "../core/code.ts";
import { SandboxError } from "../core/errors.ts";
import type { Resources } from "../core/spec.ts";

/** What a template may be called. */
export const templateName: RegExp = /^[a-z0-9][a-z0-9._-]{0,127}$/;

const name = z.string().regex(templateName, "expected lower-case letters, digits, dots, - and _");
const absolutePath = z
  .string()
  .max(4096)
  .regex(/^\/[^\0]*$/, "expected an absolute path")
  .refine((path) => !path.split("/").includes(".."), "must not contain ..");
const pattern = absolutePath.regex(/^[^\s'"]+$/, "must not contain blanks or quotes");
const relativePath = z
  .string()
  .min(1)
  .max(4096)
  .regex(/^[^\0/][^\0]*$/, "expected a path inside the recipe's directory")
  .refine((path) => !path.split("/").includes(".."), "must not contain ..");
const packageName = z.string().regex(/^[a-z0-9][a-z0-9+.-]{1,127}$/, "expected a package's name");

/** Limits that a template asks for; `src/core/options.ts` checks their ranges. */
export const resourcesSchema: z.ZodType<Partial<Resources>> = z.strictObject({
  cpus: z.number().positive().exactOptional(),
  memoryMiB: z.int().positive().exactOptional(),
  diskMiB: z.int().positive().exactOptional(),
  pids: z.int().positive().exactOptional(),
  openFiles: z.int().positive().exactOptional(),
});

export const envsSchema: z.ZodType<Readonly<Record<string, string>>> = z.record(
  z.string().regex(/^[A-Za-z_][A-Za-z0-9_]{0,127}$/, "expected a variable's name"),
  z
    .string()
    .max(8192)
    .regex(/^[^\0]*$/, "must not contain a NUL character"),
);

export const languageSchema: z.ZodType<Language> = z.enum(languages);

/** A recipe as it stands in its file, checked and with its defaults. */
export interface Recipe {
  readonly name: string;
  readonly description: string;
  /** Debian's name of the release; for a recipe without `from`. */
  readonly suite?: string;
  /** The built-in recipe that this one adds to. */
  readonly from?: string;
  /** Debian's packages; what they depend on comes with them. */
  readonly packages: readonly string[];
  /** Files of packages that are left out, as dpkg's path-exclude patterns. */
  readonly exclude: readonly string[];
  /** Exceptions from `exclude`. */
  readonly keep: readonly string[];
  /** `from` is below the recipe's directory, `to` an absolute path in the image, `mode` octal; root owns them. */
  readonly files: readonly { readonly from: string; readonly to: string; readonly mode: string }[];
  /** Lines of a shell script that root runs in the new image while it is built. */
  readonly run: readonly string[];
  readonly defaultUser?: string;
  readonly workdir?: string;
  readonly envs: Readonly<Record<string, string>>;
  readonly warm?: readonly Language[];
  readonly resources: Partial<Resources>;
}

const fileSchema = z.strictObject({
  from: relativePath,
  to: absolutePath,
  mode: z
    .string()
    .regex(/^0[0-7]{3,4}$/, "expected an octal mode such as 0644")
    .default("0644"),
});

const recipeSchema: z.ZodType<Recipe> = z.strictObject({
  name,
  description: z.string().max(500).default(""),
  suite: z
    .string()
    .regex(/^[a-z]{3,20}$/, "expected a release's name such as trixie")
    .exactOptional(),
  from: name.exactOptional(),
  packages: z.array(packageName).max(1000).default([]),
  exclude: z.array(pattern).max(200).default([]),
  keep: z.array(pattern).max(200).default([]),
  files: z.array(fileSchema).max(200).default([]),
  run: z.array(z.string().max(8192)).max(500).default([]),
  defaultUser: z
    .string()
    .regex(/^[a-z_][a-z0-9_-]{0,31}$/, "expected a user's name")
    .exactOptional(),
  workdir: absolutePath.exactOptional(),
  envs: envsSchema.default({}),
  warm: z.array(languageSchema).max(languages.length).exactOptional(),
  resources: resourcesSchema.default({}),
});

/** Parses the text of a recipe's file. Throws `invalid` with the field and what is wrong with it. */
export function parseRecipe(text: string, file: string): Recipe {
  const parsed = recipeSchema.safeParse(parseJson(text, file));
  if (!parsed.success) throw invalidRecipe(file, parsed.error);
  const { suite, from } = parsed.data;
  if ((suite === undefined) === (from === undefined))
    throw new SandboxError("invalid", `${file}: expected either from or suite`, {
      field: "from",
      mend: 'write "from": "base"',
    });
  return parsed.data;
}

function parseJson(text: string, file: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new SandboxError("invalid", `${file} is not JSON`, { field: "template", cause: error });
  }
}

function invalidRecipe(file: string, error: z.ZodError): SandboxError {
  const issue = error.issues[0];
  const unknownKey = issue?.code === "unrecognized_keys" ? issue.keys.slice(0, 1) : [];
  const field = [...(issue?.path ?? []), ...unknownKey].map(String).join(".");
  return new SandboxError("invalid", `${file}: ${field}: ${issue?.message ?? "not a recipe"}`, {
    field: field === "" ? "template" : field,
    mend: "the fields of a recipe are those of templates/base/recipe.json",
    cause: error,
  });
}
