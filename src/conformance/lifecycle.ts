import assert from "node:assert/strict";
import type { Driver, MachineInfo } from "../core/driver.ts";
import { type Case, topic } from "./case.ts";
import { patient } from "./patience.ts";
import { ordinaryLifetimeMs } from "./spec.ts";
import { output, refused, run, sleep, start, within } from "./run.ts";

async function listed(driver: Driver, id: string): Promise<MachineInfo | undefined> {
  for await (const info of driver.list()) if (info.id === id) return info;
  return undefined;
}

export const lifecycleCases: readonly Case[] = topic("lifecycle", [
  {
    name: "a machine tells what it is: id, template, resources, metadata, times and the agent's version",
    async check({ create, driver }) {
      const before = Date.now() - 1000;
      const machine = await create({
        metadata: { owner: "me", "odd key": "ü=&" },
        resources: { memoryMiB: 320 },
      });
      const info = await machine.info();
      assert.match(machine.id, /^i[a-z0-9]{20}$/);
      assert.deepEqual(
        [info.id, info.driver, info.template, info.state, info.metadata],
        [machine.id, driver.name, "base", "running", { owner: "me", "odd key": "ü=&" }],
      );
      assert.equal(info.resources.memoryMiB, 320);
      assert.ok(
        info.startedAt.getTime() >= before && info.startedAt.getTime() <= Date.now() + 1000,
      );
      const lifetimeMs = info.endAt.getTime() - info.startedAt.getTime();
      assert.ok(Math.abs(lifetimeMs - patient(ordinaryLifetimeMs)) < 5000);
      assert.match(info.agentVersion, /\d/);
      assert.equal(await machine.isRunning(), true);
    },
  },
  {
    name: "a machine has the id that is asked for, which no second one gets",
    mayRefuse: true,
    async check({ create }) {
      const id = `i${Math.random().toString(36).slice(2).padEnd(20, "0").slice(0, 20)}`;
      const machine = await create({ id });
      assert.equal(machine.id, id);
      await refused(create({ id }), "already-exists");
      await refused(create({ id: "../../tmp/x" }), "invalid");
      assert.equal(await machine.isRunning(), true);
    },
  },
  {
    name: "a machine is listed while it runs and not afterwards",
    async check({ create, driver }) {
      const machine = await create({ metadata: { name: "listed" } });
      assert.deepEqual((await listed(driver, machine.id))?.metadata, { name: "listed" });
      await machine[Symbol.asyncDispose]();
      assert.equal(await listed(driver, machine.id), undefined);
    },
  },
  {
    name: "a machine opened by id is the same machine",
    async check({ create, driver }) {
      const machine = await create({ envs: { FROM: "the maker" }, metadata: { a: "b" } });
      await machine.files.write("/tmp/mark", Buffer.from("m"));
      const opened = await driver.open(machine.id);
      assert.equal(await output(opened, "cat /tmp/mark; echo $FROM"), "mthe maker");
      assert.deepEqual((await opened.info()).metadata, { a: "b" });
    },
  },
  {
    name: "another process of the host lists, opens, uses and ends a machine",
    async check({ create, elsewhere, driver }) {
      const machine = await create();
      await machine.files.write("/tmp/mark", Buffer.from("seen elsewhere"));
      const other = elsewhere(`
        const ids = []; for await (const info of driver.list()) ids.push(info.id);
        const machine = await driver.open(${JSON.stringify(machine.id)});
        const content = await (await machine.files.read("/tmp/mark")).bytes();
        say({ listed: ids.includes(machine.id), content: Buffer.from(content).toString() });
        await machine[Symbol.asyncDispose]();
        say("ended");
        process.exit(0);
      `);
      assert.deepEqual(JSON.parse(await other.line()), { listed: true, content: "seen elsewhere" });
      assert.equal(await other.line(), '"ended"');
      assert.equal(await within("the end", 15_000, machine.ended), "killed");
      assert.equal(await machine.isRunning(), false);
      await refused(driver.open(machine.id), "not-found");
    },
  },
  {
    name: "a process that opened a machine may go; the machine stays its owner's",
    async check({ create, elsewhere }) {
      const machine = await create();
      const other = elsewhere(`
        const machine = await driver.open(${JSON.stringify(machine.id)});
        say(await machine.isRunning());
        await new Promise(() => setInterval(() => {}, 1000));
      `);
      assert.equal(await other.line(), "true");
      await other.crash();
      await sleep(1000);
      assert.equal(await output(machine, "echo still"), "still");
    },
  },
  {
    name: "ending a machine twice, and at once, is harmless",
    async check({ create, driver }) {
      const machine = await create();
      const end = (): Promise<void> => machine[Symbol.asyncDispose]();
      await Promise.all([
        end(),
        end(),
        driver.open(machine.id).then(
          (opened) => opened[Symbol.asyncDispose](),
          (gone: unknown) => refused(Promise.reject(gone), "not-found"),
        ),
      ]);
      await end();
      assert.equal(await machine.ended, "killed");
    },
  },
  {
    name: "a machine that has ended answers every call with a typed error, and not-found when opened, with the reason",
    async check({ create, driver }) {
      const machine = await create();
      const running = await start(machine, ["sleep", "1000"]);
      await machine[Symbol.asyncDispose]();
      assert.equal(
        (await within("the command's end", 15_000, running.end)).reason,
        "machine-ended",
      );
      await refused(run(machine, "true"), "lost", "not-found");
      await refused(machine.files.list("/"), "lost", "not-found");
      await refused(machine.files.write("/tmp/x", Buffer.from("x")), "lost", "not-found");
      await refused(machine.setLifetime(1000), "lost", "not-found");
      await refused(machine.metrics(), "lost", "not-found");
      assert.equal(await machine.isRunning(), false);
      const error = await refused(driver.open(machine.id), "not-found");
      assert.match(error.message, /killed/);
    },
  },
  {
    name: "the lifetime ends a machine whatever it does, and says so",
    async check({ create, driver }) {
      const machine = await create({ lease: { lifetimeMs: 3000 } });
      const busy = await start(machine, "while :; do echo x; sleep 0.1; done");
      busy.detach();
      assert.equal(await within("the end of the lifetime", 20_000, machine.ended), "lifetime");
      assert.match((await refused(driver.open(machine.id), "not-found")).message, /lifetime/);
    },
  },
  {
    name: "the lifetime can be made longer and shorter",
    async check({ create }) {
      const machine = await create({ lease: { lifetimeMs: 4000 } });
      await machine.setLifetime(120_000);
      const { endAt } = await machine.info();
      assert.ok(Math.abs(endAt.getTime() - Date.now() - 120_000) < 5000);
      await sleep(5000);
      assert.equal(await output(machine, "echo still"), "still");
      await machine.setLifetime(500);
      assert.equal(await within("the end", 20_000, machine.ended), "lifetime");
    },
  },
  {
    name: "a machine that nobody uses ends after its idle time-out, and says so",
    async check({ create }) {
      const machine = await create({ lease: { idleTimeoutMs: 1500 } });
      assert.equal(await within("the idle end", 20_000, machine.ended), "idle");
    },
  },
  {
    name: "a machine that is used is not idle: a running command, a run of code or repeated calls keep it",
    async check({ create }) {
      const idle = { lease: { idleTimeoutMs: 3000 } };
      const [busy, polled] = await Promise.all([create(idle), create(idle)]);
      const long = run(busy, "sleep 7; echo done");
      for (let turn = 0; turn < 10; turn += 1) {
        assert.equal(await output(polled, "echo here"), "here");
        await sleep(700);
      }
      assert.equal((await long).stdout, "done\n");
      assert.deepEqual(
        await within("the idle ends", 20_000, Promise.all([busy.ended, polled.ended])),
        ["idle", "idle"],
      );
    },
  },
  {
    name: "metrics tell cores, memory and disk within the limits",
    async check({ create }) {
      const machine = await create({ resources: { cpus: 1, memoryMiB: 300, diskMiB: 200 } });
      await output(machine, "head -c 50000000 /dev/urandom > /home/user/used; sync");
      const metrics = await machine.metrics();
      assert.equal(metrics.cpuCount, 1);
      assert.equal(metrics.memoryTotalBytes, 300 * 2 ** 20);
      assert.ok(metrics.memoryUsedBytes > 0 && metrics.memoryUsedBytes <= metrics.memoryTotalBytes);
      assert.ok(
        metrics.diskUsedBytes > 40_000_000 && metrics.diskUsedBytes <= metrics.diskTotalBytes,
      );
      assert.ok(metrics.diskTotalBytes > 150 * 2 ** 20 && metrics.diskTotalBytes <= 200 * 2 ** 20);
      assert.ok(Math.abs(metrics.timestamp.getTime() - Date.now()) < 60_000);
    },
  },
  {
    name: "every option is reported with what enforces it, and where",
    async check({ driver, spec }) {
      const report = driver.enforcement(spec());
      const options = new Set(report.map((each) => each.option));
      const expected = ["cpus", "memoryMiB", "diskMiB", "pids", "openFiles"].map(
        (name) => `resources.${name}`,
      );
      for (const option of [
        ...expected,
        "lifetimeMs",
        "idleTimeoutMs",
        "egress",
        "sudo",
        "seccomp",
        "userNamespace",
      ])
        assert.ok(
          [...options].some((each) => each === option || each.endsWith(`.${option}`)),
          `${option} is reported`,
        );
      for (const each of report) {
        assert.ok(each.value.length > 0 && each.by.length > 0, each.option);
        assert.ok(
          each.where !== "none" ||
            each.note !== undefined ||
            /no|none|not|refused/i.test(each.value),
          each.option,
        );
      }
    },
  },
  {
    name: "the probe says what was found",
    limitMs: 90_000,
    async check({ driver }) {
      const available = await driver.probe();
      assert.ok(available.ok);
      assert.match(available.version, /\d/);
    },
  },
]);
