import { z } from "zod";
import { SandboxError } from "../../core/errors.ts";
import { type EnginePlace, tellEngine } from "./http.ts";

/** An Engine that answers, in a version of its API that both sides know. */
export interface Engine extends EnginePlace {
  /** What it calls itself, with its version. */
  readonly title: string;
  /** Version of its own runC, where it tells. */
  readonly runc: string | undefined;
  readonly defaultRuntime: string;
  /** Path of each runtime that is registered with one. */
  readonly runtimes: Readonly<Record<string, string>>;
  readonly kernel: string;
  /** Whether root of a container is nobody outside, which the Engine's own settings decide. */
  readonly remapsUsers: boolean;
  /** What it warns of: limits that its host lacks. */
  readonly warnings: readonly string[];
}

/** Docker 20.10 speaks 1.41; nothing that is asked for here has changed up to the newest that is known. */
const oldest = 41;
const newest = 52;

const component = z.object({ Name: z.string(), Version: z.string() });
const versionSchema = z.object({
  Version: z.string().max(200),
  ApiVersion: z.string().regex(/^1\.\d{1,3}$/),
  MinAPIVersion: z
    .string()
    .regex(/^1\.\d{1,3}$/)
    .optional(),
  Os: z.string(),
  KernelVersion: z.string().optional(),
  Platform: z.object({ Name: z.string() }).optional(),
  Components: z.array(component).nullish(),
});
const infoSchema = z.object({
  DefaultRuntime: z.string().default("runc"),
  Runtimes: z.record(z.string(), z.object({ path: z.string().optional() }).loose()).nullish(),
  SecurityOptions: z.array(z.string()).nullish(),
  MemoryLimit: z.boolean().default(true),
  PidsLimit: z.boolean().default(true),
  CpuCfsQuota: z.boolean().default(true),
});

/** Throws `unavailable` (down, or too old), `denied`, `untrusted` (it answers what is no Engine's), `unsupported`. */
export async function connectEngine(socket: string): Promise<Engine> {
  const version = read(
    versionSchema,
    await tellEngine({ socket, api: "" }, { method: "GET", path: "/version" }),
  );
  if (version.Os !== "linux")
    throw new SandboxError("unsupported", `the Engine makes containers of ${shown(version.Os)}`, {
      mend: "switch it to Linux containers",
    });
  const place = { socket, api: `/v1.${agreed(version)}` };
  const info = read(infoSchema, await tellEngine(place, { method: "GET", path: "/info" }));
  const components = version.Components ?? [];
  const runtimes = Object.entries(info.Runtimes ?? {});
  return {
    ...place,
    title: `${titleOf(components)} ${version.Version}`,
    runc: components.find(({ Name }) => Name === "runc")?.Version,
    defaultRuntime: info.DefaultRuntime,
    runtimes: Object.fromEntries(runtimes.map(([name, { path = name }]) => [name, path])),
    kernel: version.KernelVersion ?? "",
    remapsUsers: (info.SecurityOptions ?? []).some((option) =>
      /^name=(userns|rootless)\b/.test(option),
    ),
    warnings: warningsOf(info),
  };
}

function agreed({
  ApiVersion,
  MinAPIVersion = "1.0",
  Version,
}: z.infer<typeof versionSchema>): number {
  const theirs = minor(ApiVersion);
  if (theirs < oldest)
    throw new SandboxError(
      "unavailable",
      `the Engine ${shown(Version)} is too old: its API is ${ApiVersion}`,
      {
        mend: `use Docker 20.10 or newer, whose API is 1.${oldest}`,
      },
    );
  const least = minor(MinAPIVersion);
  if (least > newest)
    throw new SandboxError(
      "unavailable",
      `the Engine ${shown(Version)} speaks no API below ${MinAPIVersion}`,
      {
        mend: "use a newer Cofferdam",
      },
    );
  return Math.min(theirs, newest);
}

function minor(version: string): number {
  return Number(version.slice("1.".length));
}

function titleOf(components: readonly z.infer<typeof component>[]): string {
  const name = shown(components[0]?.Name ?? "Engine");
  return name === "Engine" ? "Docker" : name.replace(/ Engine$/, "");
}

/** Limits that the Engine's host lacks are not limits. */
function warningsOf(info: z.infer<typeof infoSchema>): readonly string[] {
  const limits = { memory: info.MemoryLimit, pids: info.PidsLimit, cpu: info.CpuCfsQuota };
  return Object.entries(limits)
    .filter(([, held]) => !held)
    .map(([name]) => name);
}

function shown(text: string): string {
  return text.replace(/[^\w .+~:/-]/g, "?").slice(0, 60);
}

/** An answer of the shape that it must have. Throws `untrusted`. */
export function read<T>(schema: z.ZodType<T>, text: string): T {
  try {
    return schema.parse(JSON.parse(text));
  } catch (cause) {
    throw new SandboxError("untrusted", "the Engine answered what no Engine answers", {
      cause,
      mend: "see what listens at its socket",
    });
  }
}
