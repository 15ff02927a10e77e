import { Sandbox } from "@e2b/code-interpreter";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { subjects } from "../cli/cofferdam.ts";
import { served } from "./serve.ts";

const drivers = await subjects();
served();

for (const { name: driver, absent } of drivers)
  describe.skipIf(absent !== undefined)(`code on ${driver}`, () => {
    let sandbox: Sandbox;
    beforeAll(async () => {
      sandbox = await Sandbox.create({
        metadata: { "cofferdam.driver": driver },
        envs: { FROM_CREATE: "yes" },
      });
    });
    afterAll(async () => {
      await sandbox.kill();
    });

    test("Python keeps its state, streams what it prints and says what it fails with", async () => {
      await sandbox.runCode("x = 20");
      const printed: string[] = [];
      const execution = await sandbox.runCode("print('ümlaut \u2028')\nx * 2 + 2", {
        onStdout: ({ line }) => void printed.push(line),
      });
      expect(execution.text).toBe("42");
      expect(printed.join("")).toBe("ümlaut \u2028\n");
      const failed = await sandbox.runCode("1 / 0");
      expect(failed.error).toMatchObject({ name: "ZeroDivisionError" });
    });

    test("rich results come in their forms", async () => {
      const { results } = await sandbox.runCode(
        "from IPython.display import display, HTML, JSON\ndisplay(HTML('<b>bold</b>'))\ndisplay(JSON({'a': [1]}))",
      );
      expect(results.map(({ html, json }) => html ?? json)).toEqual(["<b>bold</b>", { a: [1] }]);
    });

    test("a figure comes as a picture and with its data as a chart", async () => {
      const { results } = await sandbox.runCode(
        [
          "import matplotlib.pyplot as plt",
          "figure, (left, right) = plt.subplots(1, 2)",
          "left.plot([1, 2], [3, 4], label='rise'); left.set(title='Lines', xlabel='Time (s)')",
          "right.bar(['a', 'b'], [5, 6])",
          "plt.show()",
        ].join("\n"),
      );
      expect(results[0]?.png?.slice(0, 5)).toBe("iVBOR");
      expect(results[0]?.chart).toMatchObject({
        type: "superchart",
        elements: [
          {
            type: "line",
            title: "Lines",
            x_unit: "s",
            elements: [
              {
                label: "rise",
                points: [
                  [1, 3],
                  [2, 4],
                ],
              },
            ],
          },
          {
            type: "bar",
            elements: [
              { label: "a", value: "5" },
              { label: "b", value: "6" },
            ],
          },
        ],
      });
    });

    test("JavaScript, TypeScript and Bash run, too", async () => {
      const script = await sandbox.runCode("const a = [1, 2]; a.length + 40", { language: "js" });
      expect(script.text).toBe("42");
      const typed = await sandbox.runCode("const b: number = 41; b + 1", { language: "ts" });
      expect(typed.text).toBe("42");
      const shell = await sandbox.runCode("echo $((6 * 7)) $FROM_CREATE", { language: "bash" });
      expect(shell.logs.stdout.join("")).toBe("42 yes\n");
    });

    test("contexts are made, listed, restarted and removed", async () => {
      const context = await sandbox.createCodeContext({ language: "python", cwd: "/tmp" });
      const { text } = await sandbox.runCode("import os\ny = 1\nos.getcwd()", { context });
      expect(text).toBe("/tmp");
      expect((await sandbox.listCodeContexts()).map(({ id }) => id)).toContain(context.id);
      await sandbox.restartCodeContext(context);
      const gone = await sandbox.runCode("y", { context });
      expect(gone.error?.name).toBe("NameError");
      await sandbox.removeCodeContext(context);
      await expect(sandbox.runCode("1", { context })).rejects.toThrow(/does not exist/);
    });

    test("code that takes too long is interrupted, and its context lives on", async () => {
      await sandbox.runCode("z = 7");
      await expect(
        sandbox.runCode("import time\ntime.sleep(60)", { timeoutMs: 1000 }),
      ).rejects.toThrow(/tim/i);
      const { text } = await sandbox.runCode("z");
      expect(text).toBe("7");
    });

    test("a sandbox that is killed while code runs fails the call", async () => {
      const other = await Sandbox.create({ metadata: { "cofferdam.driver": driver } });
      const running = other.runCode("print('begun')\nimport time\ntime.sleep(60)", {
        onStdout: () => void other.kill(),
      });
      await expect(running).rejects.toThrow(/terminated|not found|closed|fetch failed|sandbox/i);
      expect(await other.isRunning()).toBe(false);
    });
  });
