import { randomBytes } from "node:crypto";
import { realpath } from "node:fs/promises";
import type { Writable } from "node:stream";
import { join } from "node:path";
import { SandboxError } from "../core/errors.ts";
import { writeBundle } from "./bundle.ts";
import { type Child, startChild, timeToEnd } from "./child.ts";
import { clock } from "./clock.ts";
import { untilGone } from "./host-processes.ts";
import { type RawContainer, type RawProgram, type RawRuntime, callOf } from "./raw-runtime.ts";

/** Where a raw container's bundle and state are kept, and whose root it has. */
export interface Place {
  readonly directory: string;
  readonly template: string;
}

/** Starts a container for one command and waits for its first byte, then for its end. Milliseconds to the first byte. */
export async function rawRun(
  runtime: RawRuntime,
  place: Place,
  argv: readonly string[],
): Promise<number> {
  if ("run" in runtime) return runtime.run(place.template, argv);
  const { child } = await start(runtime, place, { argv, input: "ignore" });
  const firstByteAtMs = await child.firstByteAtMs;
  await child.endedAtMs;
  return firstByteAtMs - child.startedAtMs;
}

/** A container whose first program says something when it is ready, and stays. */
export async function rawContainer(
  runtime: RawRuntime,
  place: Place,
  argv: readonly string[],
): Promise<RawContainer> {
  if ("run" in runtime) return runtime.container(place.template, argv);
  const { id, child, stateDir } = await start(runtime, place, { argv, input: "pipe" });
  const call = (...words: string[]): readonly string[] => callOf(runtime, stateDir, words);
  let ending: Promise<number> | undefined;
  const end = (): Promise<number> => (ending ??= endContainer(id, child, call));
  try {
    await child.firstByteAtMs;
  } catch (cause) {
    await end();
    throw cause;
  }
  return {
    id,
    exec: (words) => timeToEnd(call("exec", id, ...words)),
    ask: (line) => ask(child, line),
    end,
    async [Symbol.asyncDispose]() {
      await end();
    },
  };
}

interface Started {
  readonly id: string;
  readonly child: Child;
  readonly stateDir: string;
}

async function start(
  runtime: RawProgram,
  place: Place,
  { argv, input }: { readonly argv: readonly string[]; readonly input: "pipe" | "ignore" },
): Promise<Started> {
  const id = `raw${randomBytes(8).toString("hex")}`;
  const bundle = join(place.directory, `bundle-${id}`);
  const stateDir = join(place.directory, "state");
  const root = await realpath(await runtime.rootOf(place.template));
  await writeBundle({ directory: bundle, root, argv });
  const words = ["run", "--bundle", bundle, id];
  return { id, child: startChild(callOf(runtime, stateDir, words), input), stateDir };
}

async function endContainer(
  id: string,
  child: Child,
  call: (...words: string[]) => readonly string[],
): Promise<number> {
  const startedAtMs = clock();
  await ignoring("exited", timeToEnd(call("kill", id, "KILL")));
  await ignoring("exited", child.endedAtMs);
  await ignoring("exited", timeToEnd(call("delete", "--force", id)));
  await untilGone(id);
  return clock() - startedAtMs;
}

async function ignoring(code: string, act: Promise<unknown>): Promise<void> {
  try {
    await act;
  } catch (cause) {
    if (!(cause instanceof SandboxError) || cause.code !== code) throw cause;
  }
}

function ask({ process: child }: Child, line: string): Promise<number> {
  const { stdin, stdout } = child;
  if (stdin === null || stdout === null)
    return Promise.reject(new SandboxError("internal", "the raw container has no input"));
  return answered(stdin, stdout, line);
}

function answered(
  input: Writable,
  output: NonNullable<Child["process"]["stdout"]>,
  line: string,
): Promise<number> {
  return new Promise((resolve, reject) => {
    const startedAtMs = clock();
    const closed = (): void => reject(new SandboxError("lost", "the raw container has ended"));
    output.once("close", closed);
    output.once("data", () => {
      output.off("close", closed);
      resolve(clock() - startedAtMs);
    });
    input.write(`${line}\n`);
  });
}
