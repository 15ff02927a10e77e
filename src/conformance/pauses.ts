import assert from "node:assert/strict";
import type { Machine, MachineInfo, Power } from "../core/driver.ts";
import { SandboxError } from "../core/errors.ts";
import type { Kept } from "../core/kept.ts";
import { type Case, topic } from "./case.ts";
import type { Context } from "./context.ts";
import { codeMachine, value } from "./evaluate.ts";
import { eventually, output, refused, run, sleep, start, within } from "./run.ts";

const lifetimeMs = 120_000;

/** The power of a machine of a driver that lists it. */
function powerOf(machine: Machine): Power {
  assert.ok(machine.power, "the driver lists the capability, so the machine has it");
  return machine.power;
}

/** Skips the case where pauses keep less than it needs. */
function requireKept(context: Context, machine: Machine, kept: Kept): void {
  if (!powerOf(machine).keeps.includes(kept)) context.skip(`its pauses do not keep ${kept}`);
}

async function listed(context: Context, id: string): Promise<MachineInfo | undefined> {
  for await (const info of context.driver.list()) if (info.id === id) return info;
  return undefined;
}

/** What becomes of three calls at once. */
async function outcomesOf(act: () => Promise<void>): Promise<readonly string[]> {
  const settled = await Promise.allSettled([act(), act(), act()]);
  return settled
    .map((each) => (each.status === "fulfilled" ? "done" : SandboxError.from(each.reason).code))
    .toSorted();
}

/** A program that counts into a file, quicker than a pause takes. */
const counting = "i=0; while :; do i=$((i+1)); echo $i > /home/user/count; done";

async function count(machine: Machine): Promise<number> {
  return Number(await output(machine, "cat /home/user/count || echo 0"));
}

export const pauseCases: readonly Case[] = topic("power", [
  {
    name: "a pause that keeps memory stops every process where it is, and resume lets it go on",
    needs: "pause",
    async check(context) {
      const machine = await context.create();
      requireKept(context, machine, "memory");
      const counter = await start(machine, counting);
      counter.detach();
      await eventually("it counts", async () => (await count(machine)) > 1 || undefined);
      await powerOf(machine).pause("memory");
      assert.equal((await machine.info()).state, "paused");
      await powerOf(machine).resume(lifetimeMs);
      assert.equal((await machine.info()).state, "running");
      const before = await count(machine);
      await eventually("it counts on", async () => (await count(machine)) > before || undefined);
      const pids = (await machine.processes()).map(({ pid }) => pid);
      assert.ok(pids.includes(counter.pid), "it has its pid");
      const joined = await machine.attach(counter.pid);
      assert.equal(await joined.kill(), true);
      await within("its end", 10_000, joined.end);
    },
  },
  {
    name: "a kernel's state, clock and answers survive a pause that keeps memory",
    needs: "pause",
    async check(context) {
      const machine = await codeMachine(context);
      requireKept(context, machine, "memory");
      await value(machine, "import time; kept = [1, 2, 3]; then = time.time(); kept");
      await powerOf(machine).pause("memory");
      await sleep(1500);
      await powerOf(machine).resume(lifetimeMs);
      assert.equal(await value(machine, "kept.append(4); kept"), "[1, 2, 3, 4]");
      assert.equal(await value(machine, "time.time() - then > 1.4"), "True");
    },
  },
  {
    name: "what was written just before a pause, without a flush, is there after it",
    needs: "pause",
    async check(context) {
      const machine = await context.create();
      for (const kept of powerOf(machine).keeps) {
        await output(machine, `head -c 3000000 /dev/urandom > /home/user/${kept}`);
        const digest = await output(machine, `sha256sum < /home/user/${kept}`);
        await powerOf(machine).pause(kept);
        await powerOf(machine).resume(lifetimeMs);
        assert.equal(await output(machine, `sha256sum < /home/user/${kept}`), digest);
      }
    },
  },
  {
    name: "a paused machine costs no CPU and outlives its idle time-out and its lifetime",
    needs: "pause",
    async check(context) {
      const machine = await context.create({ lease: { lifetimeMs: 4000, idleTimeoutMs: 3000 } });
      const view = context.host();
      const busy = await start(machine, "while :; do :; done");
      busy.detach();
      const processes = await view.members(machine.id);
      await powerOf(machine).pause();
      const beforeMs = await view.cpuMs(processes);
      await sleep(5000);
      const usedMs = (await view.cpuMs(processes)) - beforeMs;
      assert.ok(usedMs < 200, `its processes used ${usedMs} ms`);
      assert.equal((await machine.info()).state, "paused");
      await powerOf(machine).resume(lifetimeMs);
      assert.equal(await output(machine, "echo back"), "back");
      const { endAt } = await machine.info();
      assert.ok(endAt.getTime() > Date.now() + lifetimeMs / 2, "its lifetime is counted anew");
    },
  },
  {
    name: "calls on a paused machine, and a second pause or resume, are conflicts",
    needs: "pause",
    async check(context) {
      const machine = await context.create();
      await refused(powerOf(machine).resume(lifetimeMs), "conflict");
      await powerOf(machine).pause();
      await refused(powerOf(machine).pause(), "conflict");
      await refused(run(machine, "true"), "conflict");
      await refused(machine.files.read("/etc/hostname"), "conflict");
      await refused(machine.processes(), "conflict");
      await refused(machine.metrics(), "conflict");
      await refused(machine.setLifetime(lifetimeMs), "conflict");
      assert.equal(await machine.isRunning(), false);
      await powerOf(machine).resume(lifetimeMs);
      await refused(powerOf(machine).resume(lifetimeMs), "conflict");
      assert.equal(await output(machine, "echo on"), "on");
    },
  },
  {
    name: "of pauses and resumes at the same time, one is done and the others are conflicts",
    needs: "pause",
    async check(context) {
      const machine = await context.create();
      const expected = ["conflict", "conflict", "done"];
      assert.deepEqual(await outcomesOf(() => powerOf(machine).pause()), expected);
      assert.deepEqual(await outcomesOf(() => powerOf(machine).resume(lifetimeMs)), expected);
      assert.equal(await output(machine, "echo on"), "on");
    },
  },
  {
    name: "a paused machine is listed and opened, and resumed by another process",
    needs: "pause",
    async check(context) {
      const machine = await context.create({ lease: { detached: true } });
      await output(machine, "echo mine > /home/user/file");
      await powerOf(machine).pause();
      assert.equal((await listed(context, machine.id))?.state, "paused");
      const other = context.elsewhere(`
        const machine = await driver.open(${JSON.stringify(machine.id)});
        say((await machine.info()).state);
        const refusal = await machine.processes().catch((error) => error.code);
        say(refusal);
        await machine.power.resume(${lifetimeMs});
        say((await machine.info()).state);`);
      assert.equal(await other.line(), '"paused"');
      assert.equal(await other.line(), '"conflict"');
      assert.equal(await other.line(), '"running"');
      await other.exit;
      assert.equal(await output(machine, "cat /home/user/file"), "mine");
    },
  },
  {
    name: "a machine that was paused outlives the process that made it",
    needs: "pause",
    async check(context) {
      const other = context.elsewhere(`
        const spec = ${JSON.stringify(context.spec())};
        const machine = await driver.create(spec);
        await machine.files.write("/home/user/file", new TextEncoder().encode("kept"));
        await machine.power.pause();
        say(machine.id);
        await new Promise(() => setInterval(() => {}, 1000));`);
      const id: string = JSON.parse(await other.line());
      await other.crash();
      await sleep(1000);
      const machine = context.track(await context.driver.open(id));
      await powerOf(machine).resume(lifetimeMs);
      assert.equal(await output(machine, "cat /home/user/file"), "kept");
    },
  },
  {
    name: "the end of the lifetime pauses a machine that is to be kept",
    needs: "pause",
    async check(context) {
      const probe = await context.create();
      const [kept = "files"] = powerOf(probe).keeps;
      await probe[Symbol.asyncDispose]();
      const machine = await context.create({
        lease: { lifetimeMs: 2000, atLifetimeEnd: kept },
      });
      await output(machine, "echo kept > /home/user/file");
      await eventually(
        "it is paused",
        async () => (await machine.info()).state === "paused" || undefined,
        30_000,
      );
      await powerOf(machine).resume(lifetimeMs);
      assert.equal(await output(machine, "cat /home/user/file"), "kept");
    },
  },
  {
    name: "nothing is left of a paused machine that is ended",
    needs: "pause",
    async check(context) {
      const view = context.host();
      const machine = await context.create();
      for (const kept of powerOf(machine).keeps) {
        const one = await context.create();
        const processes = await view.members(one.id);
        await powerOf(one).pause(kept);
        await one[Symbol.asyncDispose]();
        assert.equal(await within("its end", 5000, one.ended), "killed");
        assert.deepEqual(await view.alive(processes), []);
        assert.deepEqual(await view.traces(one.id), []);
        await refused(context.driver.open(one.id), "not-found");
      }
    },
  },
]);
