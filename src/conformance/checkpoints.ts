import assert from "node:assert/strict";
import { readdir, readFile, stat, writeFile } from "node:fs/promises";
import type { Machine, Power } from "../core/driver.ts";
import { type Case, topic } from "./case.ts";
import type { Context } from "./context.ts";
import { codeMachine, value } from "./evaluate.ts";
import { eventually, output, refused, start } from "./run.ts";

const lifetimeMs = 120_000;

/** The power of a machine whose pauses give memory back; skips the case for others. */
function diskPower(context: Context, machine: Machine): Power {
  assert.ok(machine.power, "the driver lists the capability, so the machine has it");
  if (!machine.power.givesMemoryBack) context.skip("its pauses do not promise to give memory back");
  return machine.power;
}

/** A pause after which nothing of the machine is in memory. */
async function broughtToDisk(machine: Machine, power: Power): Promise<void> {
  await power.pause("memory");
  const { state, holdsMemory } = await machine.info();
  assert.deepEqual({ state, holdsMemory }, { state: "paused", holdsMemory: false });
}

/** Programs of which each writes what it has seen of its partner, once more and more. */
const partners = `
import os, mmap, socket, threading, time
listener = socket.socket(); listener.bind(("127.0.0.1", 8000)); listener.listen()
client = socket.create_connection(("127.0.0.1", 8000)); server, _ = listener.accept()
left, right = socket.socketpair()
reading, writing = os.pipe()
memory = mmap.mmap(-1, 4096); memory[0:4] = b"kept"
shared = open("/dev/shm/kept", "w+"); shared.write("shared"); shared.flush()
count = 0
while True:
    count += 1
    text = b"%08d" % count
    client.sendall(text); left.sendall(server.recv(8)); os.write(writing, right.recv(8))
    seen = os.read(reading, 8).decode()
    shared.seek(0)
    with open("/home/user/new", "w") as file: file.write(seen + memory[0:4].decode() + shared.read())
    os.replace("/home/user/new", "/home/user/seen")
    time.sleep(0.05)
`;

export const checkpointCases: readonly Case[] = topic("power", [
  {
    name: "a pause that gives memory back leaves no process and no device on the host, and a file for root alone",
    needs: "pause",
    async check(context) {
      const directory = context.machineDirectory();
      const view = context.host();
      const machine = await context.create();
      const power = diskPower(context, machine);
      const program = await start(machine, "echo $$ > /home/user/pid; exec sleep 1000");
      program.detach();
      const before = await view.members(machine.id);
      const boot = await output(machine, "cat /run/cofferdam-boot-id");
      await broughtToDisk(machine, power);
      assert.deepEqual(await view.alive(before), []);
      assert.deepEqual(await view.members(machine.id), []);
      const memory = `${directory}/${machine.id}/memory`;
      for (const path of [memory, ...(await readdir(memory)).map((name) => `${memory}/${name}`)]) {
        const { mode, uid } = await stat(path);
        assert.deepEqual([mode & 0o077, uid], [0, 0], path);
      }
      await power.resume(lifetimeMs);
      assert.equal(await output(machine, "cat /run/cofferdam-boot-id"), boot);
      assert.equal(
        await output(machine, "xargs -0 < /proc/$(cat /home/user/pid)/cmdline"),
        "sleep 1000",
      );
      assert.ok((await machine.processes()).some(({ pid }) => pid === program.pid));
      await assert.rejects(stat(memory), { code: "ENOENT" });
    },
  },
  {
    name: "programs that talk over sockets, pipes and memory go on after their memory was on the disk, twice",
    needs: "pause",
    async check(context) {
      const machine = await codeMachine(context);
      const power = diskPower(context, machine);
      await machine.files.write("/home/user/partners.py", new TextEncoder().encode(partners));
      const program = await start(machine, "exec python3 /home/user/partners.py");
      program.detach();
      const seen = async (): Promise<number> => {
        const text = await output(machine, "cat /home/user/seen || true");
        if (text === "") return 0;
        assert.equal(text.slice(8), "keptshared");
        return Number(text.slice(0, 8));
      };
      for (const _ of [1, 2]) {
        const before = await eventually("it counts", async () => (await seen()) || undefined);
        await broughtToDisk(machine, power);
        await power.resume(lifetimeMs);
        await eventually("it counts on", async () => (await seen()) > before || undefined);
      }
    },
  },
  {
    name: "kernels, a terminal, the clock and randomness are well after memory was on the disk",
    needs: "pause",
    async check(context) {
      const machine = await codeMachine(context);
      const power = diskPower(context, machine);
      await value(machine, "x = 41; x");
      await value(machine, { code: "let y = 41; y", language: "javascript" });
      const terminal = await machine.spawn({
        argv: ["/bin/bash", "-i"],
        stdin: true,
        pty: { cols: 80, rows: 24 },
      });
      terminal.detach();
      await broughtToDisk(machine, power);
      await power.resume(lifetimeMs);
      assert.equal(await value(machine, "x + 1"), "42");
      assert.equal(await value(machine, { code: "y + 1", language: "javascript" }), "42");
      const late = Date.now() / 1000 - Number(await output(machine, "date +%s"));
      assert.ok(Math.abs(late) < 30, `its clock is ${late} s behind`);
      const random = "head -c 16 /dev/urandom | od -An -tx1";
      assert.notEqual(await output(machine, random), await output(machine, random));
      const joined = await machine.attach(terminal.pid);
      assert.equal(await joined.kill(), true);
      await joined.end;
    },
  },
  {
    name: "what cannot be brought to a disk is kept where it is, and goes on",
    needs: "pause",
    async check(context) {
      const machine = await codeMachine(context);
      const power = diskPower(context, machine);
      const program = await start(
        machine,
        `exec python3 -c 'import os, time
file = open("/home/user/gone", "w+"); file.write("kept"); file.flush(); os.unlink("/home/user/gone")
while True:
    file.seek(0); open("/home/user/seen", "w").write(file.read()); time.sleep(0.1)'`,
      );
      program.detach();
      await eventually(
        "it writes",
        async () => (await output(machine, "cat /home/user/seen || true")) === "kept" || undefined,
      );
      if (machine.snapshots?.keeps.includes("memory") === true)
        await refused(machine.snapshots.take(`never-${machine.id}`, "memory"), "unsupported");
      await power.pause("memory");
      assert.equal((await machine.info()).state, "paused");
      await power.resume(lifetimeMs);
      await output(machine, "rm /home/user/seen");
      await eventually(
        "it writes on",
        async () => (await output(machine, "cat /home/user/seen || true")) === "kept" || undefined,
      );
    },
  },
  {
    name: "memory on the disk that was changed is not started, and its machine starts anew from its files",
    needs: "pause",
    async check(context) {
      const directory = context.machineDirectory();
      const machine = await context.create();
      const power = diskPower(context, machine);
      await output(machine, "echo kept > /home/user/file");
      const boot = await output(machine, "cat /run/cofferdam-boot-id");
      await broughtToDisk(machine, power);
      const memory = `${directory}/${machine.id}/memory`;
      const [name = ""] = await readdir(memory);
      const whole = await readFile(`${memory}/${name}`);
      const changed = Buffer.from(whole);
      changed[changed.length >> 1] = (changed[changed.length >> 1] ?? 0) ^ 1;
      for (const bytes of [changed, whole.subarray(1), Buffer.alloc(0)]) {
        await writeFile(`${memory}/${name}`, bytes);
        await refused(power.resume(lifetimeMs), "untrusted");
        assert.deepEqual(await context.host().members(machine.id), []);
        assert.equal((await machine.info()).state, "paused");
      }
      await power.resume(lifetimeMs, "files");
      assert.equal(await output(machine, "cat /home/user/file"), "kept");
      assert.notEqual(await output(machine, "cat /run/cofferdam-boot-id"), boot);
    },
  },
  {
    name: "memory that another version of the runtime or another processor has kept is refused, and its files start",
    needs: "pause",
    async check(context) {
      const directory = context.machineDirectory();
      const machine = await context.create();
      const power = diskPower(context, machine);
      await output(machine, "echo kept > /home/user/file");
      await broughtToDisk(machine, power);
      const page = `${directory}/${machine.id}/paused.json`;
      const written = JSON.parse(await readFile(page, "utf8"));
      for (const change of [{ runtime: "20200101.0" }, { processor: "no-such-ability" }]) {
        const memory = { ...written.memory, ...change };
        await writeFile(page, JSON.stringify({ ...written, memory }));
        await refused(power.resume(lifetimeMs), "unsupported");
        assert.equal((await machine.info()).state, "paused");
      }
      await power.resume(lifetimeMs, "files");
      assert.equal(await output(machine, "cat /home/user/file"), "kept");
    },
  },
  {
    name: "a machine whose memory was kept starts anew where that is asked for, and its programs may put their files in order",
    needs: "pause",
    async check(context) {
      const machine = await context.create();
      const { power } = machine;
      assert.ok(power);
      if (!power.keeps.includes("memory")) context.skip("its pauses do not keep memory");
      const program = await start(
        machine,
        "trap 'echo orderly > /home/user/end; exit' TERM; touch /home/user/ready; while :; do sleep 0.1; done",
      );
      program.detach();
      await output(machine, "until test -e /home/user/ready; do sleep 0.05; done");
      await power.pause("memory");
      await power.resume(lifetimeMs, "files");
      assert.equal(await output(machine, "cat /home/user/end"), "orderly");
      assert.deepEqual(await machine.processes(), []);
    },
  },
]);
