import assert from "node:assert/strict";
import type { Machine } from "../core/driver.ts";
import { type Case, topic } from "./case.ts";
import { output, run, sleep, start, within } from "./run.ts";

const mebibyte = 1024 * 1024;

/** Resident memory of the machine's first process, which is the agent where there is one. KiB. */
async function agentKiB(machine: Machine): Promise<number> {
  return Number(await output(machine, "awk '/VmRSS/ {print $2}' /proc/1/status", { user: "root" }));
}

interface Flow {
  readonly bytes: number;
  readonly grownMiB: number;
}

/** Counts what a program prints, now and then slowly, and how much this process grew meanwhile. */
async function drain(machine: Machine, program: string, pauseEveryMiB: number): Promise<Flow> {
  const before = process.memoryUsage().rss;
  let most = before;
  let bytes = 0;
  let pauseAt = pauseEveryMiB * mebibyte;
  const flood = await start(machine, program);
  for await (const part of flood.output) {
    bytes += part.bytes.length;
    if (bytes < pauseAt) continue;
    pauseAt += pauseEveryMiB * mebibyte;
    most = Math.max(most, process.memoryUsage().rss);
    await sleep(20);
  }
  assert.equal((await flood.end).exitCode, 0);
  return { bytes, grownMiB: (most - before) / mebibyte };
}

export const floodCases: readonly Case[] = topic("exec", [
  {
    name: "a flood of 2 GiB arrives whole while neither the agent's nor the caller's memory grows",
    alone: true,
    limitMs: 240_000,
    async check({ create }) {
      const machine = await create({ resources: { memoryMiB: 256 } });
      const flow = await drain(machine, "head -c 2147483648 /dev/zero", 64);
      assert.equal(flow.bytes, 2 ** 31);
      assert.ok(flow.grownMiB < 256, `this process grew by ${flow.grownMiB} MiB`);
      assert.ok((await agentKiB(machine)) < 64 * 1024, "the agent stays small");
    },
  },
  {
    name: "a single line of 1 GiB streams through in bounded memory",
    alone: true,
    limitMs: 240_000,
    async check({ create }) {
      const machine = await create({ resources: { memoryMiB: 256 } });
      const flow = await drain(machine, "head -c 1073741824 /dev/zero | tr '\\0' x; echo", 64);
      assert.equal(flow.bytes, 2 ** 30 + 1);
      assert.ok(flow.grownMiB < 256, `this process grew by ${flow.grownMiB} MiB`);
    },
  },
  {
    name: "a reader that stops slows the program down, and a neighbour is still answered",
    alone: true,
    async check({ create }) {
      const machine = await create({ resources: { memoryMiB: 256 } });
      const counter = `
import os, sys
block = b"x" * 65536
for n in range(1 << 20):
    os.write(1, block)
    open("/tmp/written", "w").write(str(n * 65536))
`;
      const flood = await start(machine, ["python3", "-c", counter]);
      const rest = flood.output[Symbol.asyncIterator]();
      await rest.next();
      await sleep(1500);
      const early = Number(await output(machine, "cat /tmp/written"));
      await sleep(1500);
      const late = Number(await output(machine, "cat /tmp/written"));
      assert.ok(late < 64 * mebibyte, `the program wrote ${late} bytes that nobody read`);
      assert.equal(late, early, "the program waits for its reader");
      assert.equal(await flood.kill(), true);
      await within("the end of a stopped flood", 20_000, drainRest(rest));
    },
  },
  {
    name: "a detached flood runs on without its reader and its output is dropped",
    alone: true,
    async check({ create }) {
      const machine = await create({ resources: { memoryMiB: 256 } });
      const flood = await start(
        machine,
        "head -c 1073741824 /dev/zero; touch /tmp/done; sleep 1000",
        { tag: "flood" },
      );
      flood.detach();
      await within("the unread flood", 50_000, untilExists(machine, "/tmp/done"));
      assert.ok((await agentKiB(machine)) < 64 * 1024, "the agent stays small");
    },
  },
  {
    name: "output that is not UTF-8 is delivered, not repaired",
    async check({ create }) {
      const ran = await start(await create(), ["printf", "\\377\\300\\200\\355\\240\\200ok"]);
      const parts: Uint8Array[] = [];
      for await (const part of ran.output) parts.push(part.bytes);
      assert.deepEqual(
        Array.from(Buffer.concat(parts)),
        [0xff, 0xc0, 0x80, 0xed, 0xa0, 0x80, 0x6f, 0x6b],
      );
    },
  },
  {
    name: "many small writes arrive in order and complete",
    async check({ create }) {
      const ran = await run(await create(), [
        "bash",
        "-c",
        "for i in {1..20000}; do echo $i; done",
      ]);
      assert.equal(
        ran.stdout,
        Array.from({ length: 20_000 }, (_, index) => `${index + 1}\n`).join(""),
      );
    },
  },
]);

async function drainRest(rest: AsyncIterator<unknown>): Promise<void> {
  for (let next = await rest.next(); next.done !== true; next = await rest.next());
}

async function untilExists(machine: Machine, path: string): Promise<void> {
  while ((await run(machine, ["test", "-e", path])).end.exitCode !== 0) await sleep(200);
}
