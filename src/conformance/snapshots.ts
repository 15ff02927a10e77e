import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { appendFile, readdir } from "node:fs/promises";
import { join } from "node:path";
import type { Machine, SnapshotInfo, SnapshotShelf } from "../core/driver.ts";
import type { Kept } from "../core/kept.ts";
import { type Case, topic } from "./case.ts";
import type { Context } from "./context.ts";
import { codeMachine, value } from "./evaluate.ts";
import { output, refused, start } from "./run.ts";

function shelfOf(context: Context): SnapshotShelf {
  const { snapshots } = context.driver;
  assert.ok(snapshots, "the driver lists the capability, so it has a shelf");
  return snapshots;
}

/** A snapshot that is gone when the case is over. */
async function taken(context: Context, machine: Machine, kept?: Kept): Promise<SnapshotInfo> {
  const name = `conformance-${randomBytes(8).toString("hex")}`;
  assert.ok(machine.snapshots, "the driver lists the capability, so the machine has it");
  const info = await machine.snapshots.take(name, kept);
  assert.equal(info.name, name);
  context.track({
    async [Symbol.asyncDispose]() {
      await shelfOf(context).remove(name);
    },
  });
  return info;
}

/** Skips the case where snapshots keep files alone. */
function requireMemory(context: Context, { snapshots }: Machine): void {
  if (snapshots?.keeps.includes("memory") !== true) context.skip("its snapshots keep no memory");
}

async function isListed(context: Context, name: string): Promise<boolean> {
  for await (const info of shelfOf(context).list()) if (info.name === name) return true;
  return false;
}

export const snapshotCases: readonly Case[] = topic("power", [
  {
    name: "a snapshot leaves the machine running, and machines made from it have its files, without a flush too",
    needs: "snapshot",
    async check(context) {
      const machine = await context.create();
      const program = await start(machine, "sleep 1000");
      program.detach();
      await output(
        machine,
        "head -c 2000000 /dev/urandom > /home/user/file; mkdir -p /home/user/a/b",
      );
      const digest = await output(machine, "sha256sum < /home/user/file");
      const info = await taken(context, machine);
      assert.ok(info.sizeBytes > 2_000_000);
      assert.match(info.digest, /^sha256:[0-9a-f]{64}$/);
      assert.equal(info.template, "base");
      assert.ok((await machine.processes()).some(({ pid }) => pid === program.pid));
      await output(machine, "rm /home/user/file");
      const clone = await context.create({ template: info.name });
      assert.equal(await output(clone, "sha256sum < /home/user/file"), digest);
      assert.equal(await output(clone, "test -d /home/user/a/b && id -un"), "user");
      assert.equal((await clone.info()).template, info.name);
      await output(clone, "touch /home/user/a/b/mine; rm /home/user/file");
    },
  },
  {
    name: "three machines of one snapshot are independent, and differ in id, host name and boot",
    needs: "snapshot",
    async check(context) {
      const machine = await context.create();
      await output(machine, "echo first > /home/user/file");
      const { name } = await taken(context, machine);
      const clones = await Promise.all([1, 2, 3].map(() => context.create({ template: name })));
      await Promise.all(
        clones.map((clone, index) => output(clone, `echo ${index} >> /home/user/file`)),
      );
      for (const [index, clone] of clones.entries())
        assert.equal(await output(clone, "cat /home/user/file"), `first\n${index}`);
      const all = [machine, ...clones];
      for (const program of ["hostname", "cat /run/cofferdam-boot-id"]) {
        const seen = new Set(await Promise.all(all.map((each) => output(each, program))));
        assert.equal(seen.size, all.length, program);
      }
      assert.equal(await output(machine, "cat /home/user/file"), "first");
    },
  },
  {
    name: "a snapshot is listed, its name is taken, and it outlives its machine until it is removed",
    needs: "snapshot",
    async check(context) {
      const machine = await context.create();
      await output(machine, "echo kept > /home/user/file");
      const { name } = await taken(context, machine);
      assert.ok(machine.snapshots);
      await refused(machine.snapshots.take(name), "already-exists");
      await refused(machine.snapshots.take("base"), "already-exists");
      await refused(machine.snapshots.take("../escape"), "invalid");
      await refused(machine.snapshots.take(""), "invalid");
      await machine[Symbol.asyncDispose]();
      assert.ok(await isListed(context, name));
      const clone = await context.create({ template: name });
      assert.equal(await shelfOf(context).remove(name), true);
      assert.equal(await shelfOf(context).remove(name), false);
      assert.ok(!(await isListed(context, name)));
      assert.equal(await output(clone, "cat /home/user/file"), "kept");
      await refused(context.create({ template: name }), "not-found");
    },
  },
  {
    name: "the environment that was given to a machine does not come with its snapshot",
    needs: "snapshot",
    async check(context) {
      const machine = await context.create({ envs: { SECRET: "given" } });
      const { name } = await taken(context, machine);
      const clone = await context.create({ template: name, envs: { OWN: "mine" } });
      assert.equal(await output(machine, "echo $SECRET"), "given");
      assert.equal(await output(clone, "echo $SECRET-$OWN-$HOME"), "-mine-/home/user");
    },
  },
  {
    name: "limits of a machine made from a snapshot are its own, but for the disk, which is the snapshot's",
    needs: "snapshot",
    async check(context) {
      const machine = await context.create({ resources: { diskMiB: 64 } });
      const { name } = await taken(context, machine);
      const clone = await context.create({
        template: name,
        resources: { diskMiB: 512, memoryMiB: 256 },
      });
      const { resources } = await clone.info();
      assert.equal(resources.diskMiB, 64);
      assert.equal(resources.memoryMiB, 256);
      const { diskTotalBytes } = await clone.metrics();
      assert.ok(diskTotalBytes <= 64 * 1_048_576);
    },
  },
  {
    name: "machines made from a snapshot with memory go on with its processes and kernels, each on its own",
    needs: "snapshot",
    async check(context) {
      const machine = await codeMachine(context);
      requireMemory(context, machine);
      const program = await start(machine, "echo $$ > /home/user/pid; exec sleep 1000");
      program.detach();
      await value(machine, "x = 41; x");
      const info = await taken(context, machine, "memory");
      assert.equal(info.kept, "memory");
      assert.equal(await value(machine, "x"), "41");
      assert.ok((await machine.processes()).some(({ pid }) => pid === program.pid));
      const resources = { memoryMiB: 1024, pids: 512 };
      const clones = await Promise.all(
        [1, 2].map(() => context.create({ template: info.name, resources })),
      );
      for (const [index, clone] of clones.entries()) {
        assert.equal(await value(clone, `x += ${index + 1}; x`), String(42 + index));
        assert.ok((await clone.processes()).some(({ pid }) => pid === program.pid));
        assert.equal(await output(clone, "hostname"), clone.id);
        await output(clone, `echo ${index} > /home/user/mine; kill $(cat /home/user/pid)`);
      }
      assert.equal(await value(machine, "x"), "41");
      assert.equal(await output(machine, "kill -0 $(cat /home/user/pid) && echo alive"), "alive");
      const all = [machine, ...clones];
      for (const text of ["cat /run/cofferdam-boot-id", "head -c 16 /dev/urandom | od -An -tx1"]) {
        const seen = new Set(await Promise.all(all.map((each) => output(each, text))));
        assert.equal(seen.size, all.length, text);
      }
    },
  },
  {
    name: "memory of a snapshot that was changed is not started, and a filter of its own is refused",
    needs: "snapshot",
    async check(context) {
      const machine = await context.create();
      requireMemory(context, machine);
      const { name } = await taken(context, machine, "memory");
      const filter = { defaultAction: "SCMP_ACT_ALLOW", syscalls: [] };
      await refused(context.create({ template: name, seccomp: filter }), "unsupported");
      const memory = join(context.machineDirectory(), "..", "snapshots", name, "memory");
      const [file = ""] = await readdir(memory);
      await appendFile(join(memory, file), "x");
      await refused(context.create({ template: name }), "untrusted");
    },
  },
]);
