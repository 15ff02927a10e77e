import { availableMemoryMiB, proportionalMemoryMiB, processesOf } from "../host-processes.ts";
import { pause, timed } from "../clock.ts";
import { rawContainer } from "../raw-side.ts";
import type { Sandbox } from "../../core/sandbox.ts";
import { SandboxError } from "../../core/errors.ts";
import type { Scenario, Sides, Stage } from "../scenario.ts";

/** How long a sandbox rests before its memory is read. Milliseconds. */
const settleMs = 1500;
const idle = ["/bin/sh", "-c", "echo ready; exec sleep 86400"];
const startsAtOnce = 3;

/** Memory of a sandbox that does nothing. */
export const memory: Scenario = {
  name: "memory",
  title: "memory of an idle sandbox: PSS of all its processes on the host, the supervisor's too",
  rawTitle: "memory of a container that sleeps: PSS of all its processes, the runtime's too",
  unit: "MiB",
  count: () => 5,
  warmups: 1,
  prepare: (stage) => Promise.resolve(memorySides(stage)),
};

/** How many live sandboxes still answer. */
export const density: Scenario = {
  name: "density",
  title: "run /bin/true in each of many live sandboxes, one after the other",
  rawTitle: "none: what one host holds cannot be filled by two sides in turn",
  unit: "ms",
  count: ({ densityTarget }) => densityTarget,
  warmups: 0,
  prepare: crowd,
};

function memorySides(stage: Stage): Sides {
  const { raw } = stage.subject;
  const place = { directory: stage.directory, template: "base" };
  return {
    async ours() {
      await using sandbox = await stage.create({ template: "base" });
      await sandbox.commands.run(["/bin/true"]);
      return await settledMemory(sandbox.sandboxId);
    },
    raw:
      raw === undefined
        ? undefined
        : async () => {
            await using container = await rawContainer(raw, place, idle);
            return await settledMemory(container.id);
          },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

async function settledMemory(id: string): Promise<number> {
  await pause(settleMs);
  const size = proportionalMemoryMiB(processesOf(id));
  if (size === 0) throw new SandboxError("unavailable", "no process of it is seen on this host");
  return size;
}

/** Makes all sandboxes, then asks each; one that could not be made counts as one that does not answer. */
async function crowd(stage: Stage): Promise<Sides> {
  const before = availableMemoryMiB();
  const living: Sandbox[] = [];
  const failed: SandboxError[] = [];
  const startedMs: number[] = [];
  let left = stage.count;
  const makeSome = async (): Promise<void> => {
    while (left > 0 && stage.signal?.aborted !== true) {
      left -= 1;
      try {
        startedMs.push(
          await timed(async () => living.push(await stage.create({ template: "base" }))),
        );
      } catch (cause) {
        failed.push(SandboxError.from(cause));
      }
      stage.tell(`${living.length} of ${stage.count} live, ${failed.length} failed`);
    }
  };
  await Promise.all(Array.from({ length: startsAtOnce }, makeSome));
  const perSandbox = (before - availableMemoryMiB()) / Math.max(1, living.length);
  return {
    async ours(index) {
      const sandbox = living[index];
      if (sandbox === undefined) throw failed[index - living.length] ?? missing();
      return timed(() => sandbox.commands.run(["/bin/true"]));
    },
    raw: undefined,
    figures: () =>
      Promise.resolve({
        "live sandboxes": living.length,
        "host memory per sandbox, MiB": perSandbox,
        "mean start, ms":
          startedMs.reduce((sum, ms) => sum + ms, 0) / Math.max(1, startedMs.length),
      }),
    async [Symbol.asyncDispose]() {
      await endAll(living, stage);
    },
  };
}

async function endAll(living: readonly Sandbox[], stage: Stage): Promise<void> {
  const waiting = [...living];
  const endSome = async (): Promise<void> => {
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      await next[Symbol.asyncDispose]();
      stage.tell(`${waiting.length} left to end`);
    }
  };
  await Promise.all(Array.from({ length: startsAtOnce }, endSome));
}

function missing(): SandboxError {
  return new SandboxError("cancelled", "it was never made");
}
