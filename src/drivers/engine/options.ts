import { SandboxError } from "../../core/errors.ts";
import { invalid, isObject, optionsObject, text } from "../../core/validate.ts";
import { type EngineEnvironment, engineSocket } from "./address.ts";

/** Options of a driver of an Engine. */
export interface EngineOptions {
  /** Where machines and templates are. An absolute path. */
  readonly stateDir: string;
  /** Uses a runtime although it has known escapes; the probe, `enforcement()` and `audit.jsonl` say so. Default `false`. */
  readonly allowKnownEscapes?: boolean;
  /** The Engine's socket, a path or `unix://…`. Default: DOCKER_HOST, then the usual places. */
  readonly socket?: string;
  /** Where the Engine is looked for that no socket names: the process's own environment, as the command line gives it. */
  readonly environment?: EngineEnvironment;
  /** A runtime that the Engine has registered. Default: its own default. */
  readonly runtime?: string;
  /** Images that the Engine has, as templates by names of your own. Each by its digest: `sha256:…`, or `name@sha256:…`. */
  readonly images?: Readonly<Record<string, string>>;
}

/** The options, parsed. */
export interface Settings {
  readonly stateDir: string;
  readonly allowKnownEscapes: boolean;
  /** Throws where there is none. */
  readonly socket: () => string;
  readonly runtime: string | undefined;
  readonly images: Readonly<Record<string, string>>;
}

const known = ["stateDir", "allowKnownEscapes", "socket", "environment", "runtime", "images"];
const pinned = /^([a-z0-9][a-z0-9._/:-]{0,199}@)?sha256:[0-9a-f]{64}$/;
const runtimeForm = /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/;

/** Throws `invalid`, and `unsupported` for an Engine that is not on this host. */
export function engineSettings(options: EngineOptions): Settings {
  const fields = optionsObject(options, known, { hints });
  const stateDir = text("stateDir", fields["stateDir"]);
  const { socket, environment, runtime, images = {}, allowKnownEscapes = false } = options;
  if (socket !== undefined) engineSocket(text("socket", socket));
  if (runtime !== undefined && !runtimeForm.test(text("runtime", runtime)))
    throw invalid("runtime", "expected the name of a runtime that the Engine has registered");
  return {
    stateDir,
    allowKnownEscapes,
    socket: () => engineSocket(socket, environment),
    runtime,
    images: parsedImages(images),
  };
}

/** What others' options would open, which none of ours does. */
const hints = Object.fromEntries(
  [
    "privileged",
    "binds",
    "volumes",
    "mounts",
    "devices",
    "network",
    "networkMode",
    "pidMode",
    "ipcMode",
    "capAdd",
    "securityOpt",
    "labels",
    "annotations",
  ].map((name) => [name, "a sandbox gets nothing of the host; leave it out"]),
);

function parsedImages(value: unknown): Readonly<Record<string, string>> {
  if (!isObject(value)) throw invalid("images", "expected an object of digests");
  for (const [name, image] of Object.entries(value))
    if (typeof image !== "string" || !pinned.test(image))
      throw new SandboxError("invalid", `images.${name}: expected an image by its digest`, {
        field: `images.${name}`,
        mend: "give sha256:… as docker image ls --no-trunc shows it: a tag may be another image tomorrow",
      });
  return Object.fromEntries(Object.entries(value).map(([name, image]) => [name, String(image)]));
}
