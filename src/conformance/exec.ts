import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { type Case, topic } from "./case.ts";
import { finish, output, refused, refusedField, run, start } from "./run.ts";

export const execCases: readonly Case[] = topic("exec", [
  {
    name: "output, error output and exit code of a command come back apart",
    async check({ create }) {
      const ran = await run(await create(), "echo hi; echo ho >&2; exit 3");
      assert.equal(ran.stdout, "hi\n");
      assert.equal(ran.stderr, "ho\n");
      assert.deepEqual(
        { exitCode: ran.end.exitCode, reason: ran.end.reason, signal: ran.end.signal },
        { exitCode: 3, reason: "exited", signal: undefined },
      );
    },
  },
  {
    name: "every exit code from 0 to 255 comes back as it is",
    async check({ create }) {
      const machine = await create();
      for (const code of [0, 1, 2, 42, 126, 127, 128, 137, 254, 255]) {
        const { end } = await run(machine, `exit ${code}`);
        assert.deepEqual([end.exitCode, end.reason], [code, "exited"]);
      }
    },
  },
  {
    name: "a command that ends by a signal is told apart from one that exits with that code",
    async check({ create }) {
      const machine = await create();
      for (const [name, number] of [
        ["TERM", 15],
        ["SEGV", 11],
        ["ABRT", 6],
        ["KILL", 9],
        ["INT", 2],
      ] as const) {
        const { end } = await run(machine, ["bash", "-c", `kill -${name} $$`]);
        assert.deepEqual(
          [end.exitCode, end.reason, end.signal],
          [128 + number, "signalled", `SIG${name}`],
        );
      }
    },
  },
  {
    name: "arguments arrive exactly, without a shell between",
    async check({ create }) {
      const args = ["$HOME", "a b", "*", "'", '"', "", "\\n", "naïve ☃", "-n", "line\nbreak"];
      const ran = await run(await create(), [
        "python3",
        "-c",
        "import sys,json;print(json.dumps(sys.argv[1:]))",
        ...args,
      ]);
      assert.deepEqual(JSON.parse(ran.stdout), args);
    },
  },
  {
    name: "input is read to its end, and only when it is asked for",
    async check({ create }) {
      const machine = await create();
      const none = await run(machine, ["cat"]);
      assert.deepEqual([none.stdout, none.end.exitCode], ["", 0]);
      const cat = await start(machine, ["cat"], { stdin: true });
      await cat.write(Buffer.from("one\n"));
      await cat.write(Buffer.from("two"));
      await cat.closeStdin();
      const ran = await finish(cat);
      assert.deepEqual([ran.stdout, ran.end.exitCode], ["one\ntwo", 0]);
    },
  },
  {
    name: "8 MiB of input arrive unchanged",
    async check({ create }) {
      const data = randomBytes(8 * 1024 * 1024);
      const sum = await start(await create(), ["sha256sum"], { stdin: true });
      const ran = finish(sum);
      for (let at = 0; at < data.length; at += 1 << 20)
        await sum.write(data.subarray(at, at + (1 << 20)));
      await sum.closeStdin();
      const { createHash } = await import("node:crypto");
      assert.equal(
        (await ran).stdout.slice(0, 64),
        createHash("sha256").update(data).digest("hex"),
      );
    },
  },
  {
    name: "input for a process that is over is a typed error",
    async check({ create }) {
      const machine = await create();
      const process = await start(machine, ["true"], { stdin: true });
      await finish(process);
      await refused(process.write(Buffer.from("late")), "not-found", "conflict", "lost");
    },
  },
  {
    name: "binary output arrives byte for byte",
    async check({ create }) {
      const program =
        "import os,sys; sys.stdout.buffer.write(bytes(range(256))*64); sys.stderr.buffer.write(b'\\xff\\xfe\\x00')";
      const process = await start(await create(), ["python3", "-c", program]);
      const stdout: Uint8Array[] = [];
      const stderr: Uint8Array[] = [];
      for await (const part of process.output)
        (part.stream === "stderr" ? stderr : stdout).push(part.bytes);
      const every = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
      assert.deepEqual(
        Buffer.concat(stdout),
        Buffer.concat(Array.from({ length: 64 }, () => every)),
      );
      assert.deepEqual(Buffer.concat(stderr), Buffer.from([0xff, 0xfe, 0]));
    },
  },
  {
    name: "environment of the sandbox and of the command are there, and the command's wins",
    async check({ create }) {
      const machine = await create({ envs: { LEVEL: "sandbox", SHARED: "ü=\n'$x'" } });
      const printed = await output(
        machine,
        ["python3", "-c", "import os,json;print(json.dumps(dict(os.environ)))"],
        {
          envs: { LEVEL: "command" },
        },
      );
      const envs: Record<string, string> = JSON.parse(printed);
      assert.equal(envs["LEVEL"], "command");
      assert.equal(envs["SHARED"], "ü=\n'$x'");
      assert.equal(envs["HOME"], "/home/user");
      assert.equal(envs["USER"], "user");
      assert.equal(envs["LOGNAME"], "user");
      assert.match(envs["PATH"] ?? "", /\/usr\/bin/);
    },
  },
  {
    name: "commands run as the unprivileged user in its home unless asked otherwise",
    async check({ create }) {
      const machine = await create();
      assert.equal(
        await output(machine, "whoami; pwd; test $(id -u) -ge 1000 && echo high"),
        "user\n/home/user\nhigh",
      );
      assert.equal(
        await output(machine, "whoami; id -u; echo $HOME", { user: "root" }),
        "root\n0\n/root",
      );
      assert.equal(await output(machine, "whoami", { user: "user" }), "user");
    },
  },
  {
    name: "a working directory is used; one that does not exist is refused by field",
    async check({ create }) {
      const machine = await create();
      assert.equal(await output(machine, "pwd", { cwd: "/usr/lib" }), "/usr/lib");
      await refusedField(
        run(machine, "pwd", { cwd: "/no/such/place" }),
        "cwd",
        "invalid",
        "not-found",
      );
      await refusedField(
        run(machine, "pwd", { cwd: "/etc/passwd" }),
        "cwd",
        "invalid",
        "not-found",
      );
      assert.equal(await output(machine, "echo still"), "still");
    },
  },
  {
    name: "a program that does not exist, or is no program, is refused by field",
    async check({ create }) {
      const machine = await create();
      await refusedField(run(machine, ["no-such-program"]), "argv", "not-found", "invalid");
      await refusedField(
        run(machine, ["/home/user/no-such-script.sh"]),
        "argv",
        "not-found",
        "invalid",
      );
      await refusedField(run(machine, ["/etc/passwd"]), "argv", "denied", "invalid");
      await refusedField(run(machine, ["/etc"]), "argv", "denied", "invalid");
      assert.equal(await output(machine, "echo still"), "still");
    },
  },
  {
    name: "a user that does not exist is refused by field",
    async check({ create }) {
      const machine = await create();
      await refusedField(
        run(machine, "true", { user: "nobody-here" }),
        "user",
        "unauthenticated",
        "invalid",
        "not-found",
      );
    },
  },
  {
    name: "a shell finds its scripts, and a missing script is the shell's own exit code",
    async check({ create }) {
      const machine = await create();
      const ran = await run(machine, ["bash", "missing.sh"]);
      assert.deepEqual([ran.end.exitCode, ran.end.reason], [127, "exited"]);
      assert.match(ran.stderr, /missing\.sh/);
    },
  },
  {
    name: "50 commands at once all answer with their own output",
    limitMs: 120_000,
    async check({ create }) {
      const machine = await create();
      const numbers = Array.from({ length: 50 }, (_, index) => index);
      const ran = await Promise.all(
        numbers.map((n) => run(machine, `sleep 0.2; echo ${n}; exit ${n}`)),
      );
      assert.deepEqual(
        ran.map((each) => each.stdout),
        numbers.map((n) => `${n}\n`),
      );
      assert.deepEqual(
        ran.map((each) => each.end.exitCode),
        numbers,
      );
    },
  },
  {
    name: "zombies are reaped, also those that a program left behind",
    async check({ create }) {
      const machine = await create();
      await output(
        machine,
        "for i in 1 2 3 4 5 6 7 8 9 10; do (setsid sh -c 'sleep 0.1' &) ; done; sleep 0.5",
      );
      const zombies = await output(
        machine,
        "sleep 0.3; cat /proc/[0-9]*/stat 2>/dev/null | grep -c ') Z ' || true",
        { user: "root" },
      );
      assert.equal(zombies, "0");
    },
  },
]);
