import assert from "node:assert/strict";
import type { Language } from "../core/code.ts";
import type { Machine } from "../core/driver.ts";
import { SandboxError } from "../core/errors.ts";
import { type Case, topic } from "./case.ts";
import { codeMachine, evaluate, kernels, value } from "./evaluate.ts";
import { patient } from "./patience.ts";
import { eventually, output, refused, refusedField, run, within } from "./run.ts";

const limitMs = 120_000;

const endless: Readonly<Record<Language, string>> = {
  python: "import time\nprint('begun', flush=True)\nwhile True: time.sleep(0.01)",
  javascript: "console.log('begun'); await new Promise((r) => setTimeout(r, 1e9))",
  typescript: "console.log('begun' as string); await new Promise<void>((r) => setTimeout(r, 1e9))",
  bash: "echo begun; sleep 1000",
};

const marks: Readonly<Record<Language, readonly [set: string, ask: string]>> = {
  python: ["mark = 'kept'", "print('kept' if 'mark' in globals() else 'lost')"],
  javascript: ["globalThis.mark = 'kept'", "console.log(globalThis.mark ?? 'lost')"],
  typescript: [
    "(globalThis as any).mark = 'kept'",
    "console.log((globalThis as any).mark ?? 'lost')",
  ],
  bash: ["mark=kept", "echo ${mark-lost}"],
};

async function mark(machine: Machine, language: Language): Promise<string> {
  return (await evaluate(machine, { code: marks[language][1], language })).stdout.trim();
}

export const contextCases: readonly Case[] = topic("code", [
  {
    name: "contexts are made in a directory, listed, isolated from each other, and removed",
    needs: "code",
    limitMs,
    async check(context) {
      const machine = await codeMachine(context);
      const code = kernels(machine);
      const one = await code.create({ language: "python", cwd: "/tmp" });
      const two = await code.create({ language: "python" });
      assert.deepEqual([one.language, one.cwd, two.cwd], ["python", "/tmp", "/home/user"]);
      await evaluate(machine, { code: "secret = 1", contextId: one.id });
      assert.equal(
        (await evaluate(machine, { code: "secret", contextId: two.id })).error?.name,
        "NameError",
      );
      assert.equal((await evaluate(machine, "secret")).error?.name, "NameError");
      assert.equal(
        await value(machine, { code: "import os; os.getcwd()", contextId: one.id }),
        "/tmp",
      );
      const ids = (await code.list()).map((each) => each.id);
      assert.ok(ids.includes(one.id) && ids.includes(two.id));
      await code.remove(one.id);
      assert.ok(!(await code.list()).some((each) => each.id === one.id));
      await refused(evaluate(machine, { code: "1", contextId: one.id }), "not-found");
      assert.equal(await value(machine, { code: "1", contextId: two.id }), "1");
    },
  },
  {
    name: "a context that was restarted has the same id and no state",
    needs: "code",
    limitMs,
    async check(context) {
      const machine = await codeMachine(context);
      const code = kernels(machine);
      const made = await code.create({ language: "python" });
      await evaluate(machine, { code: "x = 1", contextId: made.id });
      await code.restart(made.id);
      assert.equal(
        (await evaluate(machine, { code: "x", contextId: made.id })).error?.name,
        "NameError",
      );
    },
  },
  {
    name: "a time-out interrupts the run, is told as such, and the context keeps its state",
    needs: "code",
    limitMs,
    async check(context) {
      const machine = await codeMachine(context);
      for (const language of ["python", "bash", "javascript", "typescript"] as const) {
        await evaluate(machine, { code: marks[language][0], language });
        const endlessRun = evaluate(machine, {
          code: endless[language],
          language,
          timeoutMs: patient(1500),
        });
        await refused(within(language, 30_000, endlessRun), "timed-out");
        assert.equal(await within(language, 30_000, mark(machine, language)), "kept", language);
      }
    },
  },
  {
    name: "an aborted run is interrupted and the context stays usable",
    needs: "code",
    limitMs,
    async check(context) {
      const machine = await codeMachine(context);
      for (const language of ["python", "bash", "javascript"] as const) {
        await evaluate(machine, { code: marks[language][0], language });
        const abort = new AbortController();
        const aborted = evaluate(machine, { code: endless[language], language }, abort.signal);
        setTimeout(() => abort.abort(), 700);
        await refused(within(language, 30_000, aborted), "cancelled");
        assert.equal(await within(language, 30_000, mark(machine, language)), "kept", language);
      }
    },
  },
  {
    name: "interrupt ends the run with the language's own error",
    needs: "code",
    limitMs,
    async check(context) {
      const machine = await codeMachine(context);
      const code = kernels(machine);
      const made = await code.create({ language: "python" });
      const ran = evaluate(machine, { code: endless.python, contextId: made.id });
      await eventually(
        "the code runs",
        async () => (await run(machine, "true")).end.exitCode === 0 || undefined,
      );
      setTimeout(() => void code.interrupt(made.id).catch(() => undefined), 700);
      assert.equal(
        (await within("the interrupted run", 30_000, ran)).error?.name,
        "KeyboardInterrupt",
      );
      await refused(code.interrupt("no-such-context"), "not-found");
    },
  },
  {
    name: "code that does not react to an interrupt is ended with its kernel, and the context works again",
    needs: "code",
    limitMs,
    async check(context) {
      const machine = await codeMachine(context);
      const deaf =
        "import signal, time\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True:\n    try: time.sleep(1)\n    except BaseException: pass";
      await refused(
        within("deaf python", 60_000, evaluate(machine, { code: deaf, timeoutMs: 500 })),
        "timed-out",
        "lost",
      );
      assert.equal(await within("the next run", 60_000, value(machine, "6 * 7")), "42");
      await refused(
        within(
          "deaf javascript",
          60_000,
          evaluate(machine, { code: "while (true) {}", language: "javascript", timeoutMs: 500 }),
        ),
        "timed-out",
        "lost",
      );
      assert.equal(
        await within(
          "the next run",
          60_000,
          value(machine, { code: "6 * 7", language: "javascript" }),
        ),
        "42",
      );
    },
  },
  {
    name: "a kernel that dies is reported, is started again, and its sandbox lives on",
    needs: "code",
    limitMs,
    async check(context) {
      const machine = await codeMachine(context);
      await evaluate(machine, "x = 1");
      for (const death of [
        "import os; os._exit(3)",
        "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
        "import ctypes; ctypes.string_at(0)",
      ]) {
        const outcome = await within(
          death,
          60_000,
          evaluate(machine, death).then(
            (done) => done.error?.name,
            (error: unknown) => SandboxError.from(error).code,
          ),
        );
        assert.ok(outcome !== undefined, `the death by ${death} is reported`);
        assert.equal(
          await value(machine, "'x' in globals()"),
          "False",
          "a new kernel without the old state",
        );
      }
      assert.equal(await output(machine, "echo still"), "still");
    },
  },
  {
    name: "a kernel that takes all memory dies alone",
    needs: "code",
    limitMs,
    alone: true,
    async check(context) {
      const machine = await codeMachine(context);
      const bomb = "x = []\nwhile True: x.append(bytearray(10_000_000))";
      await within(
        "the bomb",
        90_000,
        evaluate(machine, bomb).catch(() => undefined),
      );
      const still = await run(machine, "echo still").catch(() => undefined);
      if (still !== undefined) assert.equal(still.stdout, "still\n");
      else assert.equal(await machine.ended, "out-of-memory");
    },
  },
  {
    name: "runs in one context wait for each other, and contexts run beside each other",
    needs: "code",
    limitMs,
    async check(context) {
      const machine = await codeMachine(context);
      await evaluate(machine, "log = []");
      const slow = evaluate(machine, "import time\ntime.sleep(1)\nlog.append('first')");
      const next = new Promise((resolve) => setTimeout(resolve, 200)).then(() =>
        evaluate(machine, "log.append('second')"),
      );
      const beside = evaluate(machine, { code: "echo beside", language: "bash" });
      assert.equal((await beside).stdout, "beside\n");
      await Promise.all([slow, next]);
      assert.equal(await value(machine, "log"), "['first', 'second']");
    },
  },
  {
    name: "programs that code starts end with a time-out of the run",
    needs: "code",
    limitMs,
    async check(context) {
      const machine = await codeMachine(context);
      const code = "import subprocess\nsubprocess.run(['sleep', '987'])";
      await refused(evaluate(machine, { code, timeoutMs: patient(1000) }), "timed-out");
      await eventually("the program is gone", async () => {
        const ran = await run(
          machine,
          "cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' ' | grep -c 'sleep 98[7]'",
          { user: "root" },
        );
        return ran.stdout.trim() === "0" || undefined;
      });
    },
  },
  {
    name: "an unknown language, an unknown context, and both at once are refused by field",
    needs: "code",
    limitMs,
    async check(context) {
      const machine = await codeMachine(context);
      const unknown: Language = JSON.parse(`"cobol"`);
      await refusedField(
        evaluate(machine, { code: "1", language: unknown }),
        "language",
        "invalid",
        "unsupported",
        "not-found",
      );
      await refusedField(
        evaluate(machine, { code: "1", contextId: "nope" }),
        "contextId",
        "not-found",
      );
      await refusedField(
        evaluate(machine, { code: "1", contextId: "nope", language: "python" }),
        "contextId",
        "invalid",
      );
      await refusedField(
        kernels(machine).create({ language: unknown }),
        "language",
        "invalid",
        "unsupported",
        "not-found",
      );
      await refusedField(
        kernels(machine).create({ language: "python", cwd: "/no/such" }),
        "cwd",
        "invalid",
        "not-found",
      );
      await refused(kernels(machine).restart("nope"), "not-found");
      await refused(kernels(machine).remove("nope"), "not-found");
    },
  },
]);
