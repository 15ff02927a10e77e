import { SandboxError } from "../../core/errors.ts";
import { runtimeFinder } from "../local/runtime.ts";
import { judgeVersion } from "../local/versions.ts";
import type { Engine } from "./engine.ts";
import type { ChosenRuntime } from "./preset.ts";

/** A runtime of an Engine that is to be judged. */
export interface RuntimeQuestion {
  readonly engine: Engine;
  /** As the Engine knows it; `undefined`: its default one. */
  readonly name: string | undefined;
  readonly allowKnownEscapes: boolean;
}

/** Which list of known escapes a runtime's program is in, and how it prints its version. */
const programs = [
  { called: /^runc/, list: "runc", version: /^runc version (\S+)/m },
  { called: /^runsc/, list: "gvisor", version: /^runsc version (\S+)/m },
] as const;

/**
 * The version of a runtime, judged by what is known of its escapes, where the Engine or this host tells which one it is.
 *
 * Throws `unavailable` for one that is not registered, or has a known escape.
 */
export async function judgedRuntime(question: RuntimeQuestion): Promise<ChosenRuntime> {
  const { engine, name } = question;
  const path = pathOf(engine, name ?? engine.defaultRuntime);
  const file = path.split("/").at(-1) ?? "";
  const program = programs.find(({ called }) => called.test(file));
  if (program !== undefined && path.startsWith("/")) return judgedProgram(question, program, path);
  return path === "runc" ? judgedRunc(question, engine.runc) : unjudged(name);
}

/** What the Engine starts for a runtime. Throws `unavailable` for one that is not registered. */
function pathOf({ runtimes }: Engine, registered: string): string {
  const path = Object.hasOwn(runtimes, registered) ? runtimes[registered] : undefined;
  // A shim of containerd's needs no registration from Docker 23 on; one that is not there fails the start.
  if (path !== undefined || registered.startsWith("io.containerd.")) return path ?? registered;
  throw new SandboxError("unavailable", `the Engine has no runtime ${registered}`, {
    field: "runtime",
    mend: `it has ${Object.keys(runtimes).join(", ")}; others are registered in its daemon.json`,
  });
}

function unjudged(name: string | undefined): ChosenRuntime {
  const notes = ["the runtime's version is not known, so it was not judged by its escapes"];
  return { name, version: "of unknown version", notes, overridden: [] };
}

/** The Engine tells the version of the runC that it finds itself. */
function judgedRunc(
  { name, allowKnownEscapes }: RuntimeQuestion,
  version: string | undefined,
): ChosenRuntime {
  if (version === undefined) return unjudged(name);
  const { escapes, reason } = judgeVersion("runc", version);
  if (reason === undefined) return { name, version, notes: [], overridden: [] };
  if (allowKnownEscapes && escapes.length > 0)
    return { name, version, notes: [], overridden: escapes };
  throw new SandboxError("unavailable", `the Engine's runC: ${reason}`, {
    mend: "install a newer runC, or register one in daemon.json and ask for it as runtime",
  });
}

/** A program that the Engine names by its path is on this host, unless the Engine is not. */
async function judgedProgram(
  { name, allowKnownEscapes }: RuntimeQuestion,
  { list, version }: (typeof programs)[number],
  path: string,
): Promise<ChosenRuntime> {
  const program = {
    candidates: [path],
    version,
    mend: "install a newer one where the Engine finds it",
  };
  try {
    const found = await runtimeFinder({ driver: list, program, allowKnownEscapes })();
    return { name, version: found.version, notes: [path], overridden: found.overridden };
  } catch (cause) {
    const error = SandboxError.from(cause);
    if (error.message.endsWith("is not installed")) return unjudged(name);
    throw error;
  }
}
