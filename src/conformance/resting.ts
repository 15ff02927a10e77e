import assert from "node:assert/strict";
import { open } from "node:fs/promises";
import { kill } from "node:process";
import type { Machine, Power } from "../core/driver.ts";
import { type Case, topic } from "./case.ts";
import type { Context } from "./context.ts";
import { eventually, output, refused, start } from "./run.ts";

const lifetimeMs = 120_000;

/** The power of a machine whose pauses can keep files alone; skips the case for others. */
function filesPower(context: Context, machine: Machine): Power {
  assert.ok(machine.power, "the driver lists the capability, so the machine has it");
  if (!machine.power.keeps.includes("files")) context.skip("its pauses do not keep files alone");
  return machine.power;
}

/** The first of the machine's processes on this host. */
async function supervisorOf(context: Context, machine: Machine): Promise<number> {
  const members = await context.host().members(machine.id);
  const [first] = members.toSorted((one, other) => one.pid - other.pid);
  assert.ok(first, "the machine has processes on this host");
  return first.pid;
}

/** Changes one byte of a file of the paused machine on this host, for the time of a check. */
async function damaged(path: string, position: number, check: () => Promise<void>): Promise<void> {
  const file = await open(path, "r+");
  try {
    const held = Buffer.alloc(1);
    await file.read(held, 0, 1, position);
    await file.write(Buffer.from([(held[0] ?? 0) ^ 1]), 0, 1, position);
    await check();
    await file.write(held, 0, 1, position);
  } finally {
    await file.close();
  }
}

const tree =
  "cd /home/user && find . -type f -print0 | sort -z | xargs -0 sha256sum; find . -printf '%y %m %U %G %p %l\\n' | sort; cat /etc/motd";

export const restingCases: readonly Case[] = topic("power", [
  {
    name: "a pause that keeps files alone is followed by a new boot with all files and no old process",
    needs: "pause",
    async check(context) {
      const machine = await context.create();
      const power = filesPower(context, machine);
      const bootId = await output(machine, "cat /run/cofferdam-boot-id");
      await output(
        machine,
        `cd /home/user; mkdir -p a/b; head -c 100000 /dev/urandom > a/b/file; ln -s b a/link; chmod 640 a/b/file;
         echo x > "a/odd name"; rm -f .profile`,
      );
      await output(machine, "echo changed > /etc/motd", { user: "root" });
      const before = await output(machine, tree);
      const old = await start(machine, "sleep 12345");
      old.detach();
      await power.pause("files");
      await power.resume(lifetimeMs);
      assert.equal(await output(machine, tree), before);
      assert.notEqual(await output(machine, "cat /run/cofferdam-boot-id"), bootId);
      assert.equal(await output(machine, "pgrep -f 'sleep 1234[5]' | wc -l"), "0");
      assert.deepEqual(await machine.processes(), []);
    },
  },
  {
    name: "programs may put their files in order when a pause ends them",
    needs: "pause",
    async check(context) {
      const machine = await context.create();
      const power = filesPower(context, machine);
      const program = await start(
        machine,
        "trap 'echo orderly > /home/user/end; exit' TERM; touch /home/user/ready; while :; do sleep 0.1; done",
      );
      program.detach();
      await output(machine, "until test -e /home/user/ready; do sleep 0.05; done");
      await power.pause("files");
      await power.resume(lifetimeMs);
      assert.equal(await output(machine, "cat /home/user/end"), "orderly");
    },
  },
  {
    name: "a paused machine survives the death of its supervisor, and a sweep",
    needs: "pause",
    async check(context) {
      const machine = await context.create({ lease: { detached: true } });
      await output(machine, "echo kept > /home/user/file");
      const supervisor = await supervisorOf(context, machine);
      filesPower(context, machine);
      await machine.power?.pause();
      try {
        kill(supervisor, "SIGKILL");
      } catch (error) {
        // A machine that rests has no supervisor any more.
        if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) throw error;
      }
      await context.driver.sweep();
      await eventually(
        "it is paused",
        async () => (await machine.info()).state === "paused" || undefined,
      );
      await machine.power?.resume(lifetimeMs);
      assert.equal(await output(machine, "cat /home/user/file"), "kept");
    },
  },
  {
    name: "a paused machine whose disk or page was changed is not trusted, not started and not lost",
    needs: "pause",
    async check(context) {
      const directory = context.machineDirectory();
      const machine = await context.create();
      const power = filesPower(context, machine);
      await output(machine, "echo kept > /home/user/file");
      await power.pause("files");
      const [disk, page] = ["disk.img", "paused.json"].map(
        (name) => `${directory}/${machine.id}/${name}`,
      );
      for (const [path = "", position] of [
        [disk, 5000],
        [page, 1],
      ] as const)
        await damaged(path, position, async () => {
          await refused(power.resume(lifetimeMs), "untrusted");
          assert.deepEqual(await context.host().members(machine.id), []);
        });
      await power.resume(lifetimeMs);
      assert.equal(await output(machine, "cat /home/user/file"), "kept");
    },
  },
  {
    name: "a machine is paused and resumed again and again, and keeps what each life wrote",
    needs: "pause",
    async check(context) {
      const machine = await context.create();
      const power = filesPower(context, machine);
      for (const round of [1, 2, 3]) {
        await output(
          machine,
          `echo ${round} >> /home/user/rounds; rm -f /home/user/r${round - 1}; touch /home/user/r${round}`,
        );
        await power.pause("files");
        await power.resume(lifetimeMs);
      }
      assert.equal(
        await output(machine, "cat /home/user/rounds; ls /home/user/r?"),
        "1\n2\n3\n/home/user/r3",
      );
    },
  },
]);
