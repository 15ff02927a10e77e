import assert from "node:assert/strict";
import { type Case, topic } from "./case.ts";
import { codeMachine, type Evaluated, evaluate, kernels, value } from "./evaluate.ts";
import { within } from "./run.ts";

const limitMs = 120_000;

/** How many of the results are PNG pictures. */
function pictures({ results }: Evaluated): number {
  const heads = results.map((each) =>
    Buffer.from(each.png ?? "", "base64")
      .subarray(1, 4)
      .toString(),
  );
  return heads.filter((head) => head === "PNG").length;
}

export const pythonCases: readonly Case[] = topic("code", [
  {
    name: "python: state persists between runs, and the last expression is the result",
    needs: "code",
    limitMs,
    async check(context) {
      const machine = await codeMachine(context);
      const first = await evaluate(
        machine,
        "x = 20\nimport math\ndef double(n):\n    return n * 2",
      );
      assert.deepEqual([first.results, first.error], [[], undefined]);
      assert.equal(await value(machine, "double(x) + 2"), "42");
      assert.equal(await value(machine, "x + 1;"), undefined);
      assert.equal(await value(machine, "None"), undefined);
      const string = await value(machine, "'it'");
      assert.equal(string, "it");
      const counted = await evaluate(machine, "x");
      assert.equal(counted.count, 6);
    },
  },
  {
    name: "python: output and error output stream apart and in order with times",
    needs: "code",
    limitMs,
    async check(context) {
      const machine = await codeMachine(context);
      const seen: string[] = [];
      const times: number[] = [];
      const code =
        "import sys, time\nprint('one', flush=True)\ntime.sleep(0.3)\nprint('two', file=sys.stderr, flush=True)\ntime.sleep(0.3)\nprint('three')";
      for await (const event of kernels(machine).run({ code })) {
        if (event.type !== "stdout" && event.type !== "stderr") continue;
        seen.push(`${event.type} ${event.text}`);
        times.push(event.timestamp.getTime());
      }
      assert.deepEqual(seen, ["stdout one\n", "stderr two\n", "stdout three\n"]);
      assert.deepEqual(
        times,
        times.toSorted((a, b) => a - b),
      );
    },
  },
  {
    name: "python: an error is a result with name, value and traceback, and state survives it",
    needs: "code",
    limitMs,
    async check(context) {
      const machine = await codeMachine(context);
      await evaluate(machine, "kept = 1");
      const { error } = await evaluate(machine, "def f():\n    return 1 / 0\nf()");
      assert.deepEqual([error?.name, error?.value], ["ZeroDivisionError", "division by zero"]);
      assert.match(error?.traceback ?? "", /1 \/ 0/);
      assert.ok(!error?.traceback.includes("\u001b["), "without colour codes");
      const syntax = await evaluate(machine, "def (");
      assert.equal(syntax.error?.name, "SyntaxError");
      const exit = await evaluate(machine, "import sys; sys.exit(3)");
      assert.ok(exit.error === undefined || exit.error.name === "SystemExit");
      assert.equal(await value(machine, "kept"), "1");
    },
  },
  {
    name: "python: a DataFrame comes as text, HTML and data by column",
    needs: "code",
    limitMs,
    async check(context) {
      const machine = await codeMachine(context);
      const { results } = await evaluate(
        machine,
        "import pandas as pd\npd.DataFrame({'n': [1, 2], 's': ['a', None], 'd': pd.to_datetime(['2024-01-02', '2024-01-03'])})",
      );
      const [frame] = results;
      assert.ok(frame?.data, "the frame comes as data");
      assert.match(frame.html ?? "", /<table/);
      assert.match(frame.text ?? "", /2024-01-02/);
      assert.deepEqual(frame.data["n"], [1, 2]);
      assert.deepEqual(frame.data["s"], ["a", null]);
      assert.match(String(frame.data["d"]), /^2024-01-02T00:00:00/);
      assert.equal(frame.isMainResult, true);
    },
  },
  {
    name: "python: a matplotlib figure comes as a picture with and without show()",
    needs: "code",
    limitMs,
    async check(context) {
      const machine = await codeMachine(context);
      for (const last of ["plt.show()", "", "ax = plt.gca()"]) {
        const plot = `import matplotlib.pyplot as plt\nfig = plt.figure()\nplt.plot([1, 2, 3])\n${last}`;
        const done = await evaluate(machine, plot);
        assert.equal(done.error, undefined);
        assert.equal(pictures(done), 1, `one picture with ${JSON.stringify(last)}`);
      }
      const two = await evaluate(
        machine,
        "plt.figure(); plt.plot([1]); plt.figure(); plt.plot([2]);",
      );
      assert.equal(pictures(two), 2);
      const none = await evaluate(machine, "1 + 1");
      assert.equal(none.results.length, 1, "a figure is shown once");
    },
  },
  {
    name: "python: rich displays come in every form that they have",
    needs: "code",
    limitMs,
    async check(context) {
      const machine = await codeMachine(context);
      const code = `
from IPython.display import display, HTML, Markdown, SVG, Latex, JSON, Javascript, Image
display(HTML("<b>b</b>")); display(Markdown("# m")); display(SVG("<svg xmlns='http://www.w3.org/2000/svg'></svg>"))
display(Latex("$x$")); display(JSON({"a": [1]})); display(Javascript("1")); display({"application/x-own": "mine", "text/plain": "t"}, raw=True)
display(Image(data=b"\\xff\\xd8\\xff\\xe0rest", format="jpeg"))
class Rich:
    def _repr_html_(self): return "<i>r</i>"
    def _repr_latex_(self): return "$r$"
    def __repr__(self): return "R"
Rich()`;
      const { results, error } = await evaluate(machine, code);
      assert.equal(error, undefined, JSON.stringify(error));
      const { jpeg, ...image } = results[7] ?? { isMainResult: false };
      assert.ok(jpeg !== undefined && !image.isMainResult);
      const shown = results.map((each) =>
        Object.fromEntries(Object.entries(each).filter(([form]) => form !== "text")),
      );
      assert.match(results[2]?.svg ?? "", /<svg/);
      assert.deepEqual(
        [0, 1, 3, 4, 5, 6].map((index) => shown[index]),
        [
          { html: "<b>b</b>", isMainResult: false },
          { markdown: "# m", isMainResult: false },
          { latex: "$x$", isMainResult: false },
          { json: { a: [1] }, isMainResult: false },
          { javascript: "1", isMainResult: false },
          { extra: { "application/x-own": "mine" }, isMainResult: false },
        ],
      );
      assert.deepEqual(results[8], {
        html: "<i>r</i>",
        latex: "$r$",
        text: "R",
        isMainResult: true,
      });
    },
  },
  {
    name: "python: lists and dictionaries come as JSON, too",
    needs: "code",
    limitMs,
    async check(context) {
      const machine = await codeMachine(context);
      const { results } = await evaluate(machine, "{'a': [1, 2.5, None, 'x']}");
      assert.deepEqual(results[0]?.json, { a: [1, 2.5, null, "x"] });
      assert.equal(results[0]?.text, "{'a': [1, 2.5, None, 'x']}");
    },
  },
  {
    name: "python: shell lines, magics and top-level await work",
    needs: "code",
    limitMs,
    async check(context) {
      const machine = await codeMachine(context);
      assert.equal((await evaluate(machine, "!echo from $((1+1))")).stdout.trim(), "from 2");
      assert.equal(await value(machine, "out = !echo captured\nout[0]"), "captured");
      assert.equal((await evaluate(machine, "%%bash\necho cell")).stdout.trim(), "cell");
      assert.match((await evaluate(machine, "%pwd")).results[0]?.text ?? "", /\/home\/user/);
      assert.equal(
        await value(
          machine,
          "import asyncio\nawait asyncio.sleep(0.01)\nawait asyncio.sleep(0, result=7)",
        ),
        "7",
      );
      assert.equal(
        (
          await evaluate(machine, "import subprocess, sys\nsubprocess.run(['echo', 'child'])")
        ).stdout.trim(),
        "child",
      );
    },
  },
  {
    name: "python: text that breaks line readers arrives unchanged",
    needs: "code",
    limitMs,
    async check(context) {
      const machine = await codeMachine(context);
      const nasty = 'U+2028:\u2028 U+2029:\u2029 NEL:\u0085 emoji:🙂 é \u0001 quote:" back:\\ end';
      const { stdout } = await evaluate(machine, `print(${JSON.stringify(nasty)})`);
      assert.equal(stdout, `${nasty}\n`);
      const bad = await evaluate(
        machine,
        "import sys\nsys.stdout.buffer.write(b'ok \\xff\\xfe\\n'); sys.stdout.flush()\nprint('\\ud800')",
      );
      assert.match(bad.stdout, /^ok /);
      assert.equal(await value(machine, "1"), "1");
    },
  },
  {
    name: "python: 10 MB of output and a line of 10 MB arrive complete",
    needs: "code",
    limitMs,
    async check(context) {
      const machine = await codeMachine(context);
      const many = await evaluate(machine, "for i in range(200_000): print('x' * 50)");
      assert.equal(many.stdout.length, 200_000 * 51);
      const one = await evaluate(machine, "print('y' * 10_000_000)");
      assert.equal(one.stdout.length, 10_000_001);
    },
  },
  {
    name: "python: the environment of a run is there for that run alone",
    needs: "code",
    limitMs,
    async check(context) {
      const machine = await context.create({
        template: "code-interpreter",
        resources: { memoryMiB: 1024, pids: 512 },
        envs: { SANDBOX_WIDE: "yes", OVERLAID: "under" },
      });
      const ask = "import os\n[os.environ.get(n) for n in ('SANDBOX_WIDE', 'OVERLAID', 'ONCE')]";
      const once = { code: ask, envs: { ONCE: 'it\'s "once"\n', OVERLAID: "over" } };
      assert.equal(await value(machine, once), `['yes', 'over', 'it\\'s "once"\\n']`);
      assert.equal(await value(machine, ask), "['yes', 'under', None]");
    },
  },
  {
    name: "python: reading input does not hang",
    needs: "code",
    limitMs,
    async check(context) {
      const machine = await codeMachine(context);
      const { error } = await within("input()", 30_000, evaluate(machine, "input('name? ')"));
      assert.ok(error !== undefined, "there is nobody to ask, and that is an error of the code");
      assert.equal(await value(machine, "2"), "2");
    },
  },
]);
