import assert from "node:assert/strict";
import { kill } from "node:process";
import type { HostProcess, HostView } from "./host.ts";
import type { Machine } from "../core/driver.ts";
import { type Case, topic } from "./case.ts";
import { eventually, finish, output, refused, run, sleep, start, within } from "./run.ts";

interface Remains {
  readonly id: string;
  /** Processes that belonged to it. */
  readonly processes?: readonly HostProcess[];
  /** How long it may take until nothing is left. */
  readonly limitMs: number;
}

/** Fails when anything of the machine, or any of its processes, is still on the host after a while. */
async function nothingLeft(
  view: HostView,
  { id, processes = [], limitMs }: Remains,
): Promise<void> {
  let left: readonly string[] = [];
  const clean = async (): Promise<true | undefined> => {
    const alive = await view.alive(processes);
    left = [...(await view.traces(id)), ...alive.map(({ pid }) => `process ${pid} is alive`)];
    return left.length === 0 || undefined;
  };
  await eventually("nothing is left", clean, limitMs).catch(() => assert.deepEqual(left, []));
}

/** A machine that lost a process notices at the latest when it needs it; it then ends with a reason. */
async function answersOrEnds(machine: Machine): Promise<void> {
  try {
    assert.equal(await output(machine, "echo ok"), "ok");
  } catch (error) {
    await refused(Promise.reject(error), "lost", "not-found");
    assert.ok(["runtime-lost", "exited"].includes(await machine.ended));
  }
}

/** One process may take another with it. */
function killIfThere(pid: number): void {
  try {
    kill(pid, "SIGKILL");
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) throw error;
  }
}

/** Makes the machine as busy as one can be: commands, daemons, files, a terminal. */
const busy =
  "for i in 1 2 3; do (setsid sleep 1000 &); done; head -c 5000000 /dev/zero > /home/user/file; touch /dev/shm/x; sleep 1000";

const owner = (lease: string): string => `
  const spec = { template: "base", resources: { cpus: 1, memoryMiB: 256, diskMiB: 128, pids: 128, openFiles: 512 },
    lease: ${lease}, egress: { allowOut: [], denyOut: [] }, envs: {}, metadata: {}, seccomp: undefined };
  const machine = await driver.create(spec);
  const process_ = await machine.spawn({ argv: ["sh", "-c", ${JSON.stringify(busy)}] });
  process_.detach();
  say(machine.id);
`;

export const leftoverCases: readonly Case[] = topic("lifecycle", [
  {
    name: "nothing of a machine is left on the host when its end has been answered",
    async check(context) {
      const machine = await context.create();
      const view = context.host();
      const command = await start(machine, busy);
      await sleep(500);
      const processes = await view.members(machine.id);
      assert.ok(processes.length > 0, "the machine has processes on this host");
      command.detach();
      await machine[Symbol.asyncDispose]();
      await nothingLeft(context.host(), { id: machine.id, processes, limitMs: 0 });
    },
  },
  {
    name: "nothing is left after the lifetime, the idle time-out and the end of its first process",
    async check(context) {
      const view = context.host();
      const [lifetime, idle, suicide] = await Promise.all([
        context.create({ lease: { lifetimeMs: 3000 } }),
        context.create({ lease: { idleTimeoutMs: 1500 } }),
        context.create(),
      ]);
      const machines = [lifetime, idle, suicide];
      const processes = await Promise.all(machines.map((machine) => view.members(machine.id)));
      await run(suicide, "kill -9 1; kill -9 -1; kill -TERM 1", { user: "root" }).catch(
        () => undefined,
      );
      await suicide[Symbol.asyncDispose]();
      await within("the ends", 30_000, Promise.all(machines.map((machine) => machine.ended)));
      for (const [index, machine] of machines.entries())
        await nothingLeft(context.host(), {
          id: machine.id,
          processes: processes[index] ?? [],
          limitMs: 5000,
        });
    },
  },
  {
    name: "kill -9 of the process that made a machine ends the machine and leaves nothing",
    async check(context) {
      const other =
        context.elsewhere(`${owner("{ lifetimeMs: 300000, idleTimeoutMs: 0, detached: false }")}
        await new Promise(() => setInterval(() => {}, 1000));`);
      const id: string = JSON.parse(await other.line());
      const processes = await context.host().members(id);
      assert.ok(processes.length > 0);
      await other.crash();
      await nothingLeft(context.host(), { id, processes, limitMs: 20_000 });
      assert.match((await refused(context.driver.open(id), "not-found")).message, /own(ed|er)/);
    },
  },
  {
    name: "a process that exits without ending its machine leaves nothing",
    async check(context) {
      const other = context.elsewhere(
        `${owner("{ lifetimeMs: 300000, idleTimeoutMs: 0, detached: false }")} process.exit(0);`,
      );
      const id: string = JSON.parse(await other.line());
      await other.exit;
      await nothingLeft(context.host(), { id, limitMs: 20_000 });
    },
  },
  {
    name: "a detached machine outlives the process that made it, until its lease ends it",
    async check(context) {
      const other = context.elsewhere(
        `${owner("{ lifetimeMs: 8000, idleTimeoutMs: 0, detached: true }")} process.exit(0);`,
      );
      const id: string = JSON.parse(await other.line());
      await other.exit;
      const machine = context.track(await context.driver.open(id));
      assert.equal(await output(machine, "echo still"), "still");
      assert.equal(await within("the lifetime", 30_000, machine.ended), "lifetime");
      await nothingLeft(context.host(), { id, limitMs: 5000 });
    },
  },
  {
    name: "a creation that is aborted at any moment leaves nothing",
    alone: true,
    limitMs: 120_000,
    async check(context) {
      const view = context.host();
      for (const afterMs of [0, 5, 15, 40, 80, 130, 200, 300, 450]) {
        let id: string | undefined;
        const seen = await view.appearing(async () => {
          const abort = new AbortController();
          const timer = setTimeout(() => abort.abort(), afterMs);
          const creation = context.driver.create(context.spec(), abort.signal);
          const made = await creation.catch(async (error: unknown) => {
            await refused(Promise.reject(error), "cancelled");
            return undefined;
          });
          clearTimeout(timer);
          id = made?.id;
          await made?.[Symbol.asyncDispose]();
        });
        for (const name of id === undefined ? seen : [...seen, id])
          await nothingLeft(context.host(), { id: name, limitMs: 3000 });
      }
    },
  },
  {
    name: "whichever of its processes on the host is killed, the machine goes on or ends with a reason, and leaves nothing",
    alone: true,
    limitMs: 240_000,
    async check(context) {
      const view = context.host();
      const count = (await view.members((await context.create()).id)).length;
      assert.ok(count > 0);
      for (let victim = 0; victim < Math.min(count, 12); victim += 1) {
        const machine = await context.create();
        const processes = await view.members(machine.id);
        const target = processes[victim];
        if (target === undefined) continue;
        killIfThere(target.pid);
        const ended = await Promise.race([machine.ended, sleep(20_000, "still there" as const)]);
        if (ended === "still there") await within("an answer", 15_000, answersOrEnds(machine));
        else await refused(run(machine, "true"), "lost", "not-found");
        await within("the end", 20_000, machine[Symbol.asyncDispose]());
        await context.driver.sweep();
        await nothingLeft(context.host(), { id: machine.id, processes, limitMs: 20_000 });
      }
    },
  },
  {
    name: "all processes of a machine killed at once: typed errors, and a sweep leaves nothing",
    alone: true,
    async check(context) {
      const view = context.host();
      const machine = await context.create();
      const waiting = run(machine, "sleep 1000").then(
        (ran) => ran.end.reason,
        (error: { code?: string }) => error.code,
      );
      await sleep(200);
      const processes = await view.members(machine.id);
      for (const { pid } of processes.toReversed()) killIfThere(pid);
      const outcome = await within("the waiting command", 20_000, waiting);
      assert.ok(outcome === "machine-ended" || outcome === "lost", String(outcome));
      assert.ok(
        ["runtime-lost", "exited"].includes(await within("the end", 20_000, machine.ended)),
      );
      await refused(run(machine, "true"), "lost", "not-found");
      await refused(context.driver.open(machine.id), "not-found", "lost");
      await context.driver.sweep();
      await nothingLeft(context.host(), { id: machine.id, processes, limitMs: 20_000 });
    },
  },
  {
    name: "a sweep leaves running machines alone",
    async check({ create, driver }) {
      const machine = await create();
      const process = await start(machine, "sleep 1; echo through");
      await driver.sweep();
      assert.equal((await finish(process)).stdout, "through\n");
    },
  },
  {
    name: "30 machines made and ended at once leave nothing",
    alone: true,
    limitMs: 180_000,
    async check(context) {
      const resources = { memoryMiB: 128, diskMiB: 64, pids: 64 };
      const machines = await Promise.all(
        Array.from({ length: 30 }, () => context.create({ resources })),
      );
      assert.equal(new Set(machines.map((machine) => machine.id)).size, 30);
      const answers = await Promise.all(
        machines.map((machine, index) => output(machine, `echo ${index}`)),
      );
      assert.deepEqual(
        answers,
        machines.map((_, index) => String(index)),
      );
      await Promise.all(machines.map((machine) => machine[Symbol.asyncDispose]()));
      for (const machine of machines)
        await nothingLeft(context.host(), { id: machine.id, limitMs: 3000 });
    },
  },
]);
