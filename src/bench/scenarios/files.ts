import { randomBytes } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { SandboxError } from "../../core/errors.ts";
import type { Sandbox } from "../../core/sandbox.ts";
import { timeToEnd } from "../child.ts";
import { timed } from "../clock.ts";
import type { Scenario, Sides, Stage } from "../scenario.ts";

const sizes = [
  { shown: "1-KiB", bytes: 1024, count: 200, warmups: 10 },
  { shown: "1-MiB", bytes: 1024 ** 2, count: 100, warmups: 5 },
  { shown: "100-MiB", bytes: 100 * 1024 ** 2, count: 20, warmups: 3 },
] as const;

const inside = "/tmp/bench.bin";

/** Files into a sandbox and out of it, of each size. */
export const fileScenarios: readonly Scenario[] = sizes.flatMap((size) => [
  scenarioOf(size, "up"),
  scenarioOf(size, "down"),
]);

function scenarioOf(size: (typeof sizes)[number], direction: "up" | "down"): Scenario {
  return {
    name: `files-${direction}-${size.shown}`,
    title:
      direction === "up"
        ? `write ${size.shown} from memory into a sandbox`
        : `read ${size.shown} from a sandbox into memory`,
    rawTitle: `cp of a file of ${size.shown} to another on the same disk of the host`,
    unit: "ms",
    bytes: size.bytes,
    count: () => size.count,
    warmups: size.warmups,
    prepare: (stage) => fileSides(stage, size.bytes, direction),
  };
}

async function fileSides(stage: Stage, bytes: number, direction: "up" | "down"): Promise<Sides> {
  const data = randomBytes(bytes);
  const source = join(stage.directory, "source.bin");
  await writeFile(source, data);
  const sandbox = await stage.create({ template: "base" });
  try {
    await sandbox.files.write(inside, data);
  } catch (cause) {
    await sandbox[Symbol.asyncDispose]();
    throw cause;
  }
  return {
    ours: () => (direction === "up" ? write(sandbox, data) : read(sandbox, data)),
    raw: () => timeToEnd(["cp", source, join(stage.directory, "copy.bin")]),
    [Symbol.asyncDispose]: () => sandbox[Symbol.asyncDispose](),
  };
}

function write(sandbox: Sandbox, data: Buffer): Promise<number> {
  return timed(() => sandbox.files.write(inside, data));
}

/** Compares what came outside of the time that counts. */
async function read(sandbox: Sandbox, data: Buffer): Promise<number> {
  let got: Uint8Array = new Uint8Array(0);
  const elapsedMs = await timed(async () => {
    got = await sandbox.files.read(inside, { format: "bytes" });
  });
  if (!data.equals(got)) throw new SandboxError("internal", "the file came back changed");
  return elapsedMs;
}
