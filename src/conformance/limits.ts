import assert from "node:assert/strict";
import type { Machine } from "../core/driver.ts";
import { type Case, topic } from "./case.ts";
import {
  heldByQuestions,
  heldBySockets,
  hoardOfKernelObjects,
  takesOne,
} from "./probes/shared-numbers.ts";
import { output, probe, run, sleep, start, within } from "./run.ts";

/** Asks a neighbour again and again while `act` runs. Fails when one answer does not come. */
async function neighbourAnswers(neighbour: Machine, act: () => Promise<unknown>): Promise<number> {
  const over = new AbortController();
  let answers = 0;
  const asking = (async () => {
    while (!over.signal.aborted) {
      assert.equal(
        await within("the neighbour's answer", 20_000, output(neighbour, "echo here")),
        "here",
      );
      answers += 1;
      await sleep(50);
    }
  })();
  try {
    await act();
  } finally {
    over.abort();
  }
  await asking;
  return answers;
}

/** Whether a machine that was attacked from inside answers again, or has ended. */
async function answersOrEnded(machine: Machine): Promise<void> {
  const outcome = await within(
    "an answer of the attacked machine",
    30_000,
    Promise.race([
      output(machine, "echo still"),
      machine.ended.then((reason) => `ended: ${reason}`),
    ]),
  ).catch(async (error: unknown) => {
    if (await machine.isRunning()) throw error;
    return `ended: ${await machine.ended}`;
  });
  assert.match(outcome, /^(still|ended: (out-of-memory|exited))$/);
}

export const limitCases: readonly Case[] = topic("limits", [
  {
    name: "a memory bomb ends at its limit, is told as out of memory, and a neighbour is answered",
    alone: true,
    async check({ create }) {
      const [machine, neighbour] = await Promise.all([
        create({ resources: { memoryMiB: 192 } }),
        create(),
      ]);
      const bomb = "x = []\nwhile True: x.append(bytearray(b'x') * 10_000_000)";
      const answers = await neighbourAnswers(neighbour, async () => {
        const ran = await within(
          "the bomb",
          45_000,
          run(machine, ["python3", "-c", bomb]).catch(() => undefined),
        );
        if (ran?.end.reason !== "out-of-memory")
          assert.equal(
            await within("the machine's end", 10_000, machine.ended),
            "out-of-memory",
            `the command: ${JSON.stringify(ran?.end)}`,
          );
      });
      assert.ok(answers > 0);
      await answersOrEnded(machine);
    },
  },
  {
    name: "memory in files of /tmp, /dev/shm and of a memfd counts",
    alone: true,
    limitMs: 90_000,
    async check({ create }) {
      const fillers = [
        [
          "python3",
          "-c",
          "f = open('/dev/shm/fill', 'wb')\nfor i in range(400): f.write(b'x' * 1_000_000)",
        ],
        [
          "python3",
          "-c",
          "import os\nfd = os.memfd_create('fill')\nfor i in range(400): os.write(fd, b'x' * 1_000_000)\nprint('all')",
        ],
      ] as const;
      for (const filler of fillers) {
        const machine = await create({ resources: { memoryMiB: 192 } });
        const ran = await within(
          "the filler",
          40_000,
          run(machine, filler).catch(() => undefined),
        );
        assert.ok(ran === undefined || ran.end.exitCode !== 0, "400 MB do not fit into 192 MiB");
        await answersOrEnded(machine);
      }
    },
  },
  {
    name: "what a sandbox's own network holds back counts, or is held to a small part of its memory",
    alone: true,
    limitMs: 90_000,
    async check({ create }) {
      const machine = await create({ resources: { memoryMiB: 192 } });
      const held = await within(
        "the filler",
        60_000,
        probe<number>(machine, heldBySockets).catch(async (error: unknown) => {
          if (error instanceof assert.AssertionError || !(await machine.isRunning())) return 0;
          throw error;
        }),
      );
      assert.ok(held < 192, `${held} MiB are held beside 192 MiB of memory`);
      await answersOrEnded(machine);
      const other = await create({ resources: { memoryMiB: 192, openFiles: 1024 } });
      const queued = await within(
        "the questions",
        60_000,
        probe<number>(other, heldByQuestions).catch(async (error: unknown) => {
          if (await other.isRunning()) throw error;
          return 0;
        }),
      );
      assert.ok(queued < 96, `${queued} MiB of answers wait beside 192 MiB of memory`);
      await answersOrEnded(other);
    },
  },
  {
    name: "terminals, watches, signals and asynchronous requests, of which the kernel has a number, are not one sandbox's to take",
    alone: true,
    async check({ create }) {
      const neighbour = await create();
      const machines = await Promise.all(Array.from({ length: 5 }, () => create()));
      for (const machine of machines) {
        const hoard = await start(machine, ["python3", "-c", hoardOfKernelObjects]);
        await within("the hoard", 30_000, hoard.output[Symbol.asyncIterator]().next());
      }
      const missing = await probe<readonly string[]>(neighbour, takesOne);
      assert.deepEqual(missing, []);
    },
  },
  {
    name: "a fork bomb ends at its limit, is stopped by a kill, and a neighbour is answered",
    alone: true,
    limitMs: 120_000,
    async check({ create }) {
      const [machine, neighbour] = await Promise.all([
        create({ resources: { pids: 64 } }),
        create(),
      ]);
      const answers = await neighbourAnswers(neighbour, async () => {
        const bomb = await start(machine, ["bash", "-c", ":(){ :|:& };: ; sleep 1000"]);
        await sleep(3000);
        await within("the kill", 20_000, bomb.kill());
        const end = await within("the end of the bomb", 20_000, bomb.end);
        assert.notEqual(
          end.exitCode,
          0,
          "it was killed here, or for going beyond its limit before",
        );
      });
      assert.ok(answers > 0);
      assert.equal(await within("an answer", 30_000, output(machine, "echo still")), "still");
    },
  },
  {
    name: "no more processes and threads than the limit exist at once: a program gets no more, or is ended",
    alone: true,
    async check({ create }) {
      const machine = await create({ resources: { pids: 64 } });
      const program = `
import threading, time
made = 0
try:
    for i in range(500):
        t = threading.Thread(target=time.sleep, args=(3,), daemon=True); t.start(); made += 1
except RuntimeError: pass
kids = 0
try:
    for i in range(500):
        if os.fork() == 0: time.sleep(3); os._exit(0)
        kids += 1
except OSError: pass
print(json.dumps([made, kids])); sys.stdout.flush(); os._exit(0)`;
      const counter = run(machine, ["python3", "-c", `import json, os, sys\n${program}`]);
      const { stdout, end } = await within("the count", 40_000, counter);
      assert.equal(await output(machine, "echo still"), "still");
      if (end.signal === "SIGKILL") return;
      const [threads, children]: [number, number] = JSON.parse(stdout);
      assert.ok(threads + children < 64, `${threads} threads and ${children} children`);
      assert.ok(threads + children > 8, `${threads} threads and ${children} children`);
    },
  },
  {
    name: "a disk filler gets ENOSPC at its limit, and a neighbour can write",
    alone: true,
    limitMs: 90_000,
    async check({ create }) {
      const [machine, neighbour] = await Promise.all([
        create({ resources: { diskMiB: 64 } }),
        create(),
      ]);
      const ran = await run(
        machine,
        "head -c 300000000 /dev/zero > /home/user/fill; ls -l /home/user/fill | awk '{print $5}'",
      );
      assert.match(ran.stderr, /No space left/);
      assert.ok(Number(ran.stdout) < 64 * 2 ** 20, `${ran.stdout} bytes were written`);
      const many = await run(
        machine,
        "i=0; while [ $i -lt 200000 ] && echo x > /home/user/f$i; do i=$((i+1)); done 2>/dev/null; echo end",
      );
      assert.equal(many.stdout, "end\n");
      assert.equal(await output(machine, "echo still"), "still");
      await neighbour.files.write("/home/user/mine", Buffer.alloc(20 << 20));
    },
  },
  {
    name: "all writable places together hold no more than the limits allow",
    alone: true,
    limitMs: 120_000,
    async check({ create }) {
      const machine = await create({ resources: { diskMiB: 64, memoryMiB: 256 } });
      const program = `
total = 0
seen = set()
for place in ["/home/user", "/tmp", "/var/tmp", "/run", "/dev", "/dev/shm", "/var/lock", "/run/lock", "/mnt", "/srv", "/opt", "/"]:
    try:
        path = place + "/filler-" + str(len(seen)); seen.add(path)
        with open(path, "wb", buffering=0) as f:
            for i in range(600):
                total += f.write(b"x" * 1048576)
    except OSError: pass
    try: os.remove(path)
    except OSError: pass
print(json.dumps(total))`;
      const total = await probe<number>(machine, program, { user: "root" }).catch(
        async (error: unknown) => {
          if (await machine.isRunning()) throw error;
          return 0;
        },
      );
      assert.ok(total < 12 * 256 * 2 ** 20, `${total} bytes`);
      const disk = await machine.metrics().catch(() => undefined);
      if (disk !== undefined) assert.ok(disk.diskTotalBytes <= 64 * 2 ** 20);
    },
  },
  {
    name: "a hoarder of file descriptors gets EMFILE at its limit",
    async check({ create }) {
      const machine = await create({ resources: { openFiles: 200 } });
      const program = `
import errno
held = []
try:
    for i in range(100_000): held.append(os.open("/etc/passwd", os.O_RDONLY))
except OSError as e: print(json.dumps([len(held), errno.errorcode[e.errno]]))`;
      const [count, code] = await probe<[number, string]>(machine, program);
      assert.equal(code, "EMFILE");
      assert.ok(count <= 200 && count > 100, `${count} files`);
      assert.notEqual(
        (await run(machine, "ulimit -n 100000")).end.exitCode,
        0,
        "the limit cannot be raised",
      );
    },
  },
  {
    name: "processes that hoard descriptors together leave the agent and a neighbour answering",
    alone: true,
    async check({ create }) {
      const [machine, neighbour] = await Promise.all([
        create({ resources: { pids: 128 } }),
        create(),
      ]);
      const hoard =
        "import os,time\nfor i in range(60):\n  if os.fork() == 0:\n    try:\n      while True: os.open('/etc/passwd', 0)\n    except OSError: time.sleep(1000)\ntime.sleep(1000)";
      const hoarder = await start(machine, ["python3", "-c", hoard]);
      await sleep(3000);
      assert.equal(await output(machine, "echo still"), "still");
      assert.equal(await output(neighbour, "echo here"), "here");
      await hoarder.kill();
    },
  },
  {
    name: "a CPU hog gets no more than its share, and a neighbour is answered",
    alone: true,
    async check({ create, host }) {
      const view = host();
      const [machine, neighbour] = await Promise.all([
        create({ resources: { cpus: 0.5 } }),
        create(),
      ]);
      const processes = async () => view.cpuMs(await view.members(machine.id));
      let used = 0;
      let elapsed = 0;
      const answers = await neighbourAnswers(neighbour, async () => {
        const hog = await start(machine, "for i in 1 2 3 4; do (while :; do :; done) & done; wait");
        await sleep(1000);
        const [before, at] = [await processes(), Date.now()];
        await sleep(5000);
        used = (await processes()) - before;
        elapsed = Date.now() - at;
        await hog.kill();
      });
      assert.ok(answers > 0);
      assert.ok(
        used / elapsed < 0.75,
        `${used} ms of CPU in ${elapsed} ms with half a core allowed`,
      );
      assert.ok(used / elapsed > 0.1, `${used} ms of CPU in ${elapsed} ms: the hog ran`);
    },
  },
  {
    name: "a flood of output nobody reads and a flood of errors leave a neighbour answering",
    alone: true,
    async check({ create }) {
      const [machine, neighbour] = await Promise.all([create(), create()]);
      const flood = await start(machine, "yes & yes >&2");
      const answers = await neighbourAnswers(neighbour, async () => sleep(3000));
      assert.ok(answers > 0);
      assert.equal(await output(machine, "echo still"), "still");
      assert.equal(await within("the kill", 20_000, flood.kill()), true);
    },
  },
  {
    name: "the guest sees its own limits, not the host's",
    async check({ create }) {
      const machine = await create({ resources: { memoryMiB: 300, openFiles: 333 } });
      assert.equal(await output(machine, "ulimit -n"), "333");
      assert.equal(
        await output(machine, "awk '/SwapTotal/ {print $2}' /proc/meminfo; ulimit -c"),
        "0\n0",
      );
    },
  },
]);
