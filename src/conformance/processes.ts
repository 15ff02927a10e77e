import assert from "node:assert/strict";
import { type Case, topic } from "./case.ts";
import { patient } from "./patience.ts";
import {
  eventually,
  finish,
  goneInside,
  output,
  refused,
  run,
  sleep,
  start,
  within,
} from "./run.ts";
import type { Machine } from "../core/driver.ts";
import type { Process, ProcessOutput } from "../core/process.ts";

/** A program that leaves a daemon of its own session, twice forked, with nothing of its environment, and tells its pid. */
const daemonMaker = `
import os, sys, time
r, w = os.pipe()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.setsid()
        os.write(w, str(os.getpid()).encode())
        for fd in (0, 1, 2, r, w):
            try: os.close(fd)
            except OSError: pass
        os.execve("/bin/sleep", ["sleep", "1000"], {})
    os._exit(0)
os.wait()
print(os.read(r, 20).decode(), flush=True)
time.sleep(1000)
`;

/** Reads output until it holds a whole line, and leaves the process running. */
async function firstLine(rest: AsyncIterator<ProcessOutput>): Promise<string> {
  let text = "";
  while (!text.includes("\n")) {
    const next = await rest.next();
    if (next.done === true) break;
    text += Buffer.from(next.value.bytes).toString();
  }
  return text.split("\n")[0] ?? "";
}

interface Tree {
  readonly process: Process;
  readonly daemon: string;
  readonly rest: AsyncIterator<ProcessOutput>;
}

async function tree(machine: Machine, timeoutMs?: number, signal?: AbortSignal): Promise<Tree> {
  const argv = ["python3", "-c", daemonMaker] as const;
  const process = await machine.spawn(
    timeoutMs === undefined ? { argv } : { argv, timeoutMs: patient(timeoutMs) },
    signal,
  );
  const rest = process.output[Symbol.asyncIterator]();
  const daemon = await firstLine(rest);
  assert.match(daemon, /^\d+$/, "the daemon told its pid");
  return { process, daemon, rest };
}

async function bothGone(machine: Machine, { process, daemon }: Tree): Promise<void> {
  assert.ok(await goneInside(machine, process.pid), "the command is gone");
  assert.ok(await goneInside(machine, daemon), "its daemon is gone");
}

export const processCases: readonly Case[] = topic("exec", [
  {
    name: "a time-out ends the whole tree, also a daemon in a session of its own with an empty environment",
    async check({ create }) {
      const machine = await create();
      const made = await tree(machine, 1500);
      const end = await made.process.end;
      assert.equal(end.reason, "timed-out");
      await bothGone(machine, made);
    },
  },
  {
    name: "kill ends the whole tree, and has ended it when it answers",
    async check({ create }) {
      const machine = await create();
      const made = await tree(machine);
      assert.equal(await made.process.kill("SIGKILL"), true);
      await bothGone(machine, made);
      const end = await made.process.end;
      assert.deepEqual([end.reason, end.signal, end.exitCode], ["killed", "SIGKILL", 137]);
    },
  },
  {
    name: "an abort ends the whole tree within a second",
    async check({ create }) {
      const machine = await create();
      const abort = new AbortController();
      const made = await tree(machine, undefined, abort.signal);
      abort.abort();
      await eventually(
        "the tree is gone",
        async () =>
          ((await goneInside(machine, made.process.pid)) &&
            (await goneInside(machine, made.daemon))) ||
          undefined,
        1000,
      );
    },
  },
  {
    name: "a command aborted before it starts does not start",
    async check({ create }) {
      const machine = await create();
      const aborted = machine.spawn({ argv: ["touch", "/tmp/started"] }, AbortSignal.abort());
      await refused(
        aborted.then(async (process) => finish(process)),
        "cancelled",
      );
      assert.notEqual((await run(machine, "test -e /tmp/started")).end.exitCode, 0);
    },
  },
  {
    name: "kill of a process that is gone says so, and two kills at once both answer",
    async check({ create }) {
      const machine = await create();
      const process = await start(machine, ["sleep", "1000"]);
      const answers = await Promise.all([process.kill(), process.kill()]);
      assert.ok(answers.includes(true), "one of them ended it");
      assert.equal((await process.end).reason, "killed");
      assert.equal(await process.kill(), false);
    },
  },
  {
    name: "SIGTERM and SIGINT reach the program, which may answer them",
    async check({ create }) {
      const machine = await create();
      for (const [signal, code] of [
        ["SIGTERM", 7],
        ["SIGINT", 8],
      ] as const) {
        const program = `trap 'exit 7' TERM; trap 'exit 8' INT; echo ready; while :; do sleep 0.05; done`;
        const process = await start(machine, ["bash", "-c", program]);
        const rest = process.output[Symbol.asyncIterator]();
        await firstLine(rest);
        assert.equal(await process.kill(signal), true);
        const end = await process.end;
        assert.deepEqual([end.exitCode, end.reason], [code, "exited"]);
      }
    },
  },
  {
    name: "a time-out, a kill, a signal of its own and an exit are told apart",
    async check({ create }) {
      const machine = await create();
      const reasons = await Promise.all([
        run(machine, "sleep 1000", { timeoutMs: patient(300) }).then((ran) => ran.end.reason),
        start(machine, ["sleep", "1000"]).then(async (process) => {
          await process.kill();
          return (await process.end).reason;
        }),
        run(machine, ["bash", "-c", "kill -9 $$"]).then((ran) => ran.end.reason),
        run(machine, "exit 137").then((ran) => ran.end.reason),
      ]);
      assert.deepEqual(reasons, ["timed-out", "killed", "signalled", "exited"]);
    },
  },
  {
    name: "running commands are listed with their program, tag, directory and environment",
    async check({ create }) {
      const machine = await create();
      const process = await start(machine, ["sleep", "999"], {
        tag: "nap",
        cwd: "/tmp",
        envs: { WHO: "me" },
      });
      const listed = await machine.processes();
      const found = listed.find((each) => each.pid === process.pid);
      assert.deepEqual(
        [found?.argv, found?.tag, found?.cwd, found?.envs["WHO"]],
        [["sleep", "999"], "nap", "/tmp", "me"],
      );
      await process.kill();
      assert.ok(!(await machine.processes()).some((each) => each.pid === process.pid));
    },
  },
  {
    name: "a detached command lives on, and is joined again through the machine opened by id",
    async check({ create, driver }) {
      const machine = await create();
      const process = await start(machine, "read line; echo got $line; exit 5", {
        stdin: true,
        tag: "later",
      });
      process.detach();
      const opened = await driver.open(machine.id);
      const [found] = (await opened.processes()).filter((each) => each.tag === "later");
      assert.equal(found?.pid, process.pid);
      const again = await opened.attach(process.pid);
      const ran = finish(again);
      await again.write(Buffer.from("that\n"));
      assert.equal((await ran).stdout, "got that\n");
      assert.equal((await ran).end.exitCode, 5);
    },
  },
  {
    name: "joining a process that does not exist is a typed error",
    async check({ create }) {
      await refused((await create()).attach(999_999), "not-found");
    },
  },
  {
    name: "a terminal has the size it was given and follows a resize",
    async check({ create }) {
      const machine = await create();
      const process = await start(
        machine,
        ["bash", "-c", "stty size; tty -s && echo terminal; read x; stty size"],
        {
          pty: { cols: 77, rows: 21 },
          stdin: true,
        },
      );
      const rest = process.output[Symbol.asyncIterator]();
      assert.equal((await firstLine(rest)).trim(), "21 77");
      await process.resize({ cols: 132, rows: 43 });
      await process.write(Buffer.from("\n"));
      let text = "";
      for (let next = await rest.next(); next.done !== true; next = await rest.next()) {
        assert.equal(next.value.stream, "pty");
        text += Buffer.from(next.value.bytes).toString();
      }
      assert.match(text, /43 132/);
      assert.equal((await process.end).exitCode, 0);
    },
  },
  {
    name: "Ctrl-C in a terminal interrupts the program in front, and the shell lives on",
    async check({ create }) {
      const machine = await create();
      const process = await start(machine, ["bash", "--norc", "-i"], {
        pty: { cols: 80, rows: 24 },
        stdin: true,
      });
      let seen = "";
      const reading = (async () => {
        for await (const part of process.output) seen += Buffer.from(part.bytes).toString();
      })();
      const shows = async (text: string): Promise<void> => {
        await eventually(
          `the terminal shows ${text}`,
          async () => seen.includes(text) || undefined,
        );
      };
      await process.write(Buffer.from("echo be''gun; sleep 1000\n"));
      await shows("begun");
      await sleep(100);
      await process.write(Buffer.from("\u0003"));
      await process.write(
        Buffer.from("echo ali''ve $TERM; printf '\\033[31mr''ed\\033[0m\\n'; exit 4\n"),
      );
      await shows("alive xterm-256color");
      await shows("\u001b[31mred\u001b[0m");
      await reading;
      assert.equal((await process.end).exitCode, 4);
    },
  },
  {
    name: "a command that closes its output but runs on ends when it ends, not before",
    async check({ create }) {
      const machine = await create();
      const ran = await run(machine, "exec >&- 2>&-; sleep 0.5; exit 6");
      assert.equal(ran.end.exitCode, 6);
    },
  },
  {
    name: "a command whose daemon keeps the output open is over when the command is",
    async check({ create }) {
      const machine = await create();
      const ran = await within(
        "the command",
        20_000,
        run(machine, "setsid sleep 1000 & echo started"),
      );
      assert.equal(ran.stdout, "started\n");
      assert.equal(ran.end.exitCode, 0);
      assert.equal(
        await output(
          machine,
          "for i in $(seq 50); do cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' ' | grep -o 'slee[p] 1000' | head -1 | grep . && break; sleep 0.1; done",
        ),
        "sleep 1000",
        "what it left in the background is left alone",
      );
    },
  },
]);
