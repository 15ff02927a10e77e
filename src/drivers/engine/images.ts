import { existsSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { SandboxError } from "../../core/errors.ts";
import type { Template, Templates } from "../../images/templates.ts";
import { archiveOfBoth } from "./archive.ts";
import { type Engine, read } from "./engine.ts";
import { askEngine, tellEngine } from "./http.ts";
import { engineRefusal } from "./refusals.ts";
import { skeletonName, writablePlaces } from "./places.ts";

/** An image of the Engine's, and what machines made from it start with. */
export interface EngineImage {
  /** `sha256:` and the digest by which the Engine knows it. */
  readonly id: string;
  readonly defaultUser: string;
  readonly workdir: string;
  readonly envs: Readonly<Record<string, string>>;
  readonly warm: readonly string[];
}

const imageSchema = z.object({
  Id: z.string().regex(/^(sha256:)?[0-9a-f]{64}$/),
  Os: z.string().optional(),
  Config: z
    .object({
      Volumes: z.record(z.string(), z.unknown()).nullish(),
      WorkingDir: z.string().nullish(),
      User: z.string().nullish(),
    })
    .nullish(),
});

/** What is done to a template on its way to the Engine; another number is another image. */
const conversion = 1;
const importPatienceMs = 15 * 60_000;

/** Imports that are under way in this process, so that one template goes over once. */
const importing: Map<string, Promise<string>> = new Map();

/** The image of a template of this host, given to the Engine when it has none. */
export async function templateImage(
  engine: Engine,
  ready: Templates,
  name: string,
): Promise<EngineImage> {
  const template = await ready.resolve(name);
  const { defaultUser, workdir, envs, warm } = template;
  return { id: await importedId(engine, template), defaultUser, workdir, envs, warm };
}

async function importedId(engine: Engine, template: Template): Promise<string> {
  const tag = `${template.digest}-${conversion}`;
  const there = await findImage(engine, `cofferdam/template:${tag}`);
  if (there !== undefined) return there.Id;
  const key = `${engine.socket} ${tag}`;
  const earlier = importing.get(key);
  if (earlier !== undefined) return earlier;
  const work = importTemplate(engine, template, tag).finally(() => importing.delete(key));
  importing.set(key, work);
  return work;
}

/** The name is given by the Engine when all of the image is there, so one that was broken off has none. */
async function importTemplate(engine: Engine, template: Template, tag: string): Promise<string> {
  const { rootfs, name } = template;
  const places = writablePlaces.map(({ path }) => path.slice(1));
  const kept = places.filter((path) => existsSync(join(rootfs, path)));
  const archive = await archiveOfBoth(
    { directory: rootfs, names: kept, prefix: skeletonName },
    { directory: rootfs, names: ["."] },
  );
  await tellEngine(engine, {
    method: "POST",
    path: "/images/create",
    query: {
      fromSrc: "-",
      repo: "cofferdam/template",
      tag,
      changes: `LABEL cofferdam.template=${name}`,
    },
    archive,
    patienceMs: importPatienceMs,
  });
  const made = await findImage(engine, `cofferdam/template:${tag}`);
  if (made !== undefined) return made.Id;
  throw new SandboxError("internal", `the Engine took the template ${name} and has it not`);
}

/**
 * An image that the Engine has already, named by its digest; it needs no agent. Nothing is ever pulled.
 *
 * Throws `not-found`, and `unsupported` for one that has volumes of its own, which no limit would hold.
 */
export async function foreignImage(engine: Engine, id: string): Promise<EngineImage> {
  const image = await findImage(engine, id);
  if (image === undefined)
    throw new SandboxError("not-found", `template: the Engine has no image ${id}`, {
      field: "template",
      mend: "bring it to the Engine first: docker pull",
    });
  const volumes = Object.keys(image.Config?.Volumes ?? {});
  if (volumes.length > 0)
    throw new SandboxError("unsupported", "template: the image has volumes of its own", {
      field: "template",
      mend: "build it anew without VOLUME: what is written there would be held to no limit",
    });
  const user = image.Config?.User ?? "";
  return {
    id: image.Id,
    defaultUser: user === "" ? "root" : (user.split(":")[0] ?? "root"),
    workdir: image.Config?.WorkingDir ?? "",
    envs: {},
    warm: [],
  };
}

async function findImage(
  engine: Engine,
  name: string,
): Promise<z.infer<typeof imageSchema> | undefined> {
  const path = `/images/${name}/json`;
  const { status, text } = await askEngine(engine, { method: "GET", path });
  if (status === 404) return undefined;
  if (status !== 200) throw engineRefusal(status, text);
  return read(imageSchema, text);
}
