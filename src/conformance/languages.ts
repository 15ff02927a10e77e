import assert from "node:assert/strict";
import { type Language, languages } from "../core/code.ts";
import { type Case, topic } from "./case.ts";
import { codeMachine, evaluate, kernels, value } from "./evaluate.ts";

const limitMs = 120_000;

export const languageCases: readonly Case[] = topic("code", [
  {
    name: "javascript: state, top-level await, import and the last expression",
    needs: "code",
    limitMs,
    async check(context) {
      const machine = await codeMachine(context);
      const js = (code: string) => value(machine, { code, language: "javascript" });
      await js(
        "const x = 20; let y = 1; function double(n) { return n * 2 } class Box { constructor(v) { this.v = v } }",
      );
      assert.equal(await js("double(x) + 2"), "42");
      assert.equal(await js("new Box(3).v"), "3");
      assert.equal(await js("y += 1; y"), "2");
      assert.equal(await js("await new Promise((r) => setTimeout(() => r('late'), 20))"), "late");
      assert.equal(await js("import { basename } from 'node:path'; basename('/a/b')"), "b");
      assert.equal(await js("import os from 'os'; typeof os.cpus"), "function");
      assert.equal(await js("const fs = require('fs'); fs.existsSync('/etc/passwd')"), "true");
      assert.equal(await js("const x = 5; x"), "5");
      assert.equal(await js("undefined"), undefined);
      assert.match((await js("({ a: [1, { b: 2 }] })")) ?? "", /a: \[ 1, \{ b: 2 \} \]/);
    },
  },
  {
    name: "javascript: output, error output and errors come apart, and state survives an error",
    needs: "code",
    limitMs,
    async check(context) {
      const machine = await codeMachine(context);
      const js = (code: string) => evaluate(machine, { code, language: "javascript" });
      const printed = await js(
        "var kept = 9; console.log('out', { a: 1 }); console.error('err'); process.stdout.write('raw\\u2028')",
      );
      assert.equal(printed.stdout, "out { a: 1 }\nraw\u2028");
      assert.equal(printed.stderr, "err\n");
      const thrown = await js("function f() { throw new TypeError('no') }\nf()");
      assert.deepEqual([thrown.error?.name, thrown.error?.value], ["TypeError", "no"]);
      assert.match(thrown.error?.traceback ?? "", /f/);
      assert.equal((await js("let = 1 1")).error?.name, "SyntaxError");
      assert.equal((await js("throw 'a string'")).error?.value, "a string");
      assert.ok(
        (await js("await Promise.reject(new Error('rejected'))")).error?.value.includes("rejected"),
      );
      assert.equal((await js("kept")).results[0]?.text, "9");
    },
  },
  {
    name: "typescript: types are understood and removed, and state persists",
    needs: "code",
    limitMs,
    async check(context) {
      const machine = await codeMachine(context);
      const ts = (code: string) => value(machine, { code, language: "typescript" });
      await ts(
        "interface P { readonly n: number }\ntype Q = P | undefined\nconst p: P = { n: 41 };\nfunction inc<T extends P>(q: T): number { return q.n + 1 }",
      );
      assert.equal(await ts("inc(p) as number"), "42");
      assert.equal(await ts("enum Colour { Red, Green }\nColour.Green"), "1");
      assert.equal(await ts("const q: Q = p; q!.n satisfies number"), "41");
      assert.equal(await ts("await Promise.resolve<string>('awaited')"), "awaited");
    },
  },
  {
    name: "bash: variables, functions and the directory persist, and a failure is an error of the run",
    needs: "code",
    limitMs,
    async check(context) {
      const machine = await codeMachine(context);
      const bash = (code: string) => evaluate(machine, { code, language: "bash" });
      await bash('x=5\nf() { echo "f $1 $x"; }\ncd /tmp\nexport Y=exported');
      assert.equal((await bash("f a; pwd; sh -c 'echo $Y'")).stdout, "f a 5\n/tmp\nexported\n");
      assert.equal((await bash("echo err >&2")).stderr, "err\n");
      assert.equal((await bash("cat <<EOT\nhere $x\nEOT")).stdout, "here 5\n");
      assert.ok((await bash("false")).error !== undefined);
      assert.ok((await bash("if then")).error !== undefined);
      assert.equal((await bash("echo $x")).stdout, "5\n");
      assert.equal((await bash("(exit 3); echo $?")).stdout, "3\n");
      await bash("exit 3");
      assert.equal(
        (await bash("echo back")).stdout,
        "back\n",
        "a shell that exits is started again",
      );
    },
  },
  {
    name: "the environment of a run reaches every language for that run alone",
    needs: "code",
    limitMs,
    async check(context) {
      const machine = await codeMachine(context);
      const asks: Readonly<Record<Language, string>> = {
        python: "import os\nprint(os.environ.get('ONCE'))",
        javascript: "console.log(process.env.ONCE)",
        typescript: "console.log(process.env['ONCE'] as string)",
        bash: "echo ${ONCE-none}",
      };
      for (const [language, code] of languages.map((name) => [name, asks[name]] as const)) {
        const during = await evaluate(machine, { code, language, envs: { ONCE: "a'b\"$c" } });
        assert.equal(during.stdout.trim(), "a'b\"$c", language);
        const after = await evaluate(machine, { code, language });
        assert.match(after.stdout.trim(), /^(None|undefined|none)$/, language);
      }
    },
  },
  {
    name: "files are shared between languages and with the file API",
    needs: "code",
    limitMs,
    async check(context) {
      const machine = await codeMachine(context);
      await machine.files.write("shared.txt", Buffer.from("one"));
      assert.equal(await value(machine, "open('shared.txt').read()"), "one");
      await evaluate(machine, {
        code: "require('fs').writeFileSync('shared.txt', 'two')",
        language: "javascript",
      });
      assert.equal(
        (await evaluate(machine, { code: "cat shared.txt", language: "bash" })).stdout,
        "two",
      );
      assert.equal(
        Buffer.from(await (await machine.files.read("shared.txt")).bytes()).toString(),
        "two",
      );
      assert.ok(kernels(machine));
    },
  },
]);
