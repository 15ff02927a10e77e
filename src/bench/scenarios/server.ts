import { randomBytes } from "node:crypto";
import { setMaxListeners } from "node:events";
import { readFileSync } from "node:fs";
import { SandboxError } from "../../core/errors.ts";
import type { Sandbox } from "../../core/sandbox.ts";
import { clock, pause, timed } from "../clock.ts";
import type { BenchServer, Scenario, ServedSandbox, Sides, Stage } from "../scenario.ts";
import { summarize } from "../statistics.ts";

const inside = "/tmp/bench.bin";
const movedBytes = 100 * 1024 ** 2;

/** A server beside the library on the same driver: what it adds, and what it holds. */
export const serverScenarios: readonly Scenario[] = [
  {
    name: "server-create",
    title: "make a sandbox by a server's control plane, to its answer",
    rawTitle: "make one by the library",
    unit: "ms",
    count: () => 100,
    warmups: 5,
    prepare: (stage) => withServer(stage, (server) => Promise.resolve(creations(stage, server))),
  },
  data("command", "run /bin/true in a running sandbox", {
    count: 300,
    template: "base",
    act: (sandbox) => timed(() => sandbox.commands.run(["/bin/true"])),
  }),
  data("evaluation", "runCode `1+1` in a warm Python context", {
    count: 500,
    template: "code-interpreter",
    act: (sandbox) => timed(() => sandbox.runCode("1+1")),
  }),
  data("upload", "write 100 MiB from memory into a sandbox", {
    count: 12,
    template: "base",
    bytes: movedBytes,
    act: (sandbox, content) => timed(() => sandbox.files.write(inside, content)),
  }),
  data("download", "read 100 MiB from a sandbox into memory", {
    count: 12,
    template: "base",
    bytes: movedBytes,
    first: (sandbox, content) => sandbox.files.write(inside, content),
    act: (sandbox) => timed(() => sandbox.files.read(inside, { format: "bytes" })),
  }),
  burst(10, 6),
  burst(50, 3),
  {
    name: "server-memory",
    title: "resident memory of a server's process while idle sandboxes are added to it one by one",
    rawTitle: "none: the library holds them in the caller's own process",
    unit: "MiB",
    count: ({ driver }) => (driver.isolation === "container" ? 500 : 100),
    warmups: 20,
    prepare: (stage) => withServer(stage, (server) => Promise.resolve(crowding(server))),
  },
];

/** Gives the server to the sides, and ends it after them or when they cannot be made. */
async function withServer(
  stage: Stage,
  sidesOf: (server: BenchServer) => Promise<Sides>,
): Promise<Sides> {
  const { serve } = stage.subject;
  if (serve === undefined) throw new SandboxError("unsupported", "no server stands over it");
  const server = await serve(`${stage.directory}/server`);
  try {
    const sides = await sidesOf(server);
    return {
      ...sides,
      async [Symbol.asyncDispose]() {
        await sides[Symbol.asyncDispose]();
        await server[Symbol.asyncDispose]();
      },
    };
  } catch (cause) {
    await server[Symbol.asyncDispose]();
    throw cause;
  }
}

function creations(stage: Stage, server: BenchServer): Sides {
  const both = differences();
  return {
    ours: both.kept("served", async () => {
      const startedAtMs = clock();
      const { id } = await server.create("base");
      const tookMs = clock() - startedAtMs;
      await server.kill(id);
      return tookMs;
    }),
    raw: both.kept("direct", async () => {
      const startedAtMs = clock();
      const sandbox = await stage.create({ template: "base" });
      const tookMs = clock() - startedAtMs;
      await sandbox[Symbol.asyncDispose]();
      return tookMs;
    }),
    figures: both.figures,
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

interface Action {
  readonly count: number;
  readonly template: string;
  readonly bytes?: number;
  /** Given as many bytes as are moved. */
  readonly first?: (sandbox: Sandbox, content: Buffer) => Promise<unknown>;
  readonly act: (sandbox: Sandbox, content: Buffer) => Promise<number>;
}

/** The same act through the server's data plane and by the library, with one client. */
function data(name: string, title: string, { count, bytes, ...wanted }: Action): Scenario {
  return {
    name: `server-${name}`,
    title: `${title}, through a server`,
    rawTitle: `${title}, by the library`,
    unit: "ms",
    ...(bytes === undefined ? {} : { bytes }),
    count: () => count,
    warmups: 3,
    prepare: (stage) =>
      withServer(stage, async (server) => {
        const direct = await stage.create({ template: wanted.template });
        const served = server.open(await server.create(wanted.template));
        const content = randomBytes(bytes ?? 0);
        for (const sandbox of [direct, served]) await wanted.first?.(sandbox, content);
        const both = differences();
        return {
          ours: both.kept("served", () => wanted.act(served, content)),
          raw: both.kept("direct", () => wanted.act(direct, content)),
          figures: both.figures,
          async [Symbol.asyncDispose]() {
            await served[Symbol.asyncDispose]();
            await direct[Symbol.asyncDispose]();
          },
        };
      }),
  };
}

interface Differences {
  readonly kept: (
    side: "served" | "direct",
    act: () => Promise<number>,
  ) => (index: number) => Promise<number>;
  readonly figures: () => Promise<Readonly<Record<string, number>>>;
}

/** Keeps what both sides measure, for the difference of their percentiles. */
function differences(): Differences {
  const samples: Record<"served" | "direct", number[]> = { served: [], direct: [] };
  return {
    kept: (side, act) => async (index) => {
      const value = await act();
      if (index >= 0) samples[side].push(value);
      return value;
    },
    figures() {
      const served = summarize(samples.served);
      const direct = summarize(samples.direct);
      const added = (share: "p50" | "p99"): number => (served[share] ?? 0) - (direct[share] ?? 0);
      return Promise.resolve({
        "milliseconds added at p50": added("p50"),
        "milliseconds added at p99": added("p99"),
      });
    },
  };
}

/** So many creations at once; one that fails is counted and takes no part in the rate. */
function burst(atOnce: number, count: number): Scenario {
  const title = `make ${atOnce} sandboxes at once, time for each that was made`;
  return {
    name: `server-creates-${atOnce}-at-once`,
    title: `${title}, by a server`,
    rawTitle: `${title}, by the library`,
    unit: "ms",
    count: () => count,
    warmups: 1,
    prepare: (stage) =>
      withServer(stage, (server) => {
        if (stage.signal !== undefined) setMaxListeners(2 * atOnce, stage.signal);
        const served = tally(atOnce, {
          make: () => server.create("base"),
          end: ({ id }: ServedSandbox) => server.kill(id),
        });
        const direct = tally(atOnce, {
          make: () => stage.create({ template: "base" }),
          end: (sandbox: Sandbox) => sandbox[Symbol.asyncDispose](),
        });
        return Promise.resolve({
          ours: served.attempt,
          raw: direct.attempt,
          figures: () =>
            Promise.resolve({
              "a second by the server": served.perSecond(),
              "failed by the server": served.failed(),
              "a second by the library": direct.perSecond(),
              "failed by the library": direct.failed(),
            }),
          [Symbol.asyncDispose]: () => Promise.resolve(),
        });
      }),
  };
}

interface Tally {
  readonly attempt: (index: number) => Promise<number>;
  readonly perSecond: () => number;
  readonly failed: () => number;
}

interface Creation<T> {
  readonly make: () => Promise<T>;
  readonly end: (made: T) => Promise<unknown>;
}

function tally<T>(atOnce: number, { make, end }: Creation<T>): Tally {
  let failures = 0;
  let successes = 0;
  let elapsedMs = 0;
  return {
    async attempt(index) {
      const startedAtMs = clock();
      const results = await Promise.allSettled(Array.from({ length: atOnce }, make));
      const tookMs = clock() - startedAtMs;
      const made = results.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
      await Promise.all(made.map(end));
      if (index >= 0) {
        elapsedMs += tookMs;
        successes += made.length;
        failures += results.length - made.length;
      }
      const [refused] = results.filter((one) => one.status === "rejected");
      if (made.length === 0) throw SandboxError.from(refused?.reason);
      return tookMs / made.length;
    },
    perSecond: () => (successes * 1000) / elapsedMs,
    failed: () => failures,
  };
}

/** Memory after each sandbox; they all live on until the server ends. */
function crowding(server: BenchServer): Sides {
  const samples: number[] = [];
  return {
    async ours(index) {
      const { id } = await server.create("base");
      if (index < 0) await server.kill(id);
      const value = residentMiB(server.pid);
      if (index >= 0) samples.push(value);
      return value;
    },
    raw: undefined,
    async figures() {
      await pause(3000);
      const atEnd = residentMiB(server.pid);
      const first = samples[0] ?? atEnd;
      return {
        "MiB at the first sandbox": first,
        [`MiB with ${samples.length} idle ones`]: atEnd,
        "KiB for each": ((atEnd - first) * 1024) / Math.max(1, samples.length - 1),
      };
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

function residentMiB(pid: number): number {
  const found = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  if (found === undefined) throw new SandboxError("lost", "the server has ended");
  return Number(found) / 1024;
}
