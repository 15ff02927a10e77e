import { SandboxError } from "../../core/errors.ts";
import type { Sandbox } from "../../core/sandbox.ts";
import { timed } from "../clock.ts";
import type { RawContainer } from "../raw-runtime.ts";
import { rawContainer } from "../raw-side.ts";
import type { Scenario, Sides, Stage } from "../scenario.ts";

const idle = ["/bin/sh", "-c", "echo ready; exec sleep 86400"];

const evaluator = [
  "/usr/bin/python3",
  "-c",
  "import sys; print('ready', flush=True)\nfor line in sys.stdin: print(eval(line), flush=True)",
];

/** A command in a sandbox that runs. */
export const command: Scenario = {
  name: "command",
  title: "run /bin/true in a running sandbox, to its end",
  rawTitle: "exec /bin/true in a running container, to its end",
  unit: "ms",
  count: () => 200,
  warmups: 10,
  prepare: (stage) =>
    running(stage, {
      template: "base",
      argv: idle,
      ours: (sandbox) => sandbox.commands.run(["/bin/true"]),
      raw: (container) => container.exec(["/bin/true"]),
    }),
};

/** One evaluation in a kernel that is warm. */
export const evaluation: Scenario = {
  name: "evaluation",
  title: "runCode `1+1` in a warm Python context",
  rawTitle: "a line to a bare Python loop of eval() on the container's standard input and output",
  unit: "ms",
  count: () => 500,
  warmups: 20,
  prepare: (stage) =>
    running(stage, {
      template: "code-interpreter",
      argv: evaluator,
      ours: async (sandbox) => {
        const { results } = await sandbox.runCode("1+1");
        if (results[0]?.text !== "2")
          throw new SandboxError("internal", "runCode did not answer as it should");
      },
      raw: (container) => container.ask("1+1"),
    }),
};

interface Running {
  readonly template: string;
  /** The first program of the raw container. */
  readonly argv: readonly string[];
  readonly ours: (sandbox: Sandbox) => Promise<unknown>;
  readonly raw: (container: RawContainer) => Promise<number>;
}

async function running(stage: Stage, wanted: Running): Promise<Sides> {
  const { template } = wanted;
  const { raw } = stage.subject;
  const sandbox = await stage.create({ template });
  try {
    const container =
      raw === undefined
        ? undefined
        : await rawContainer(raw, { directory: stage.directory, template }, wanted.argv);
    return {
      ours: () => timed(() => wanted.ours(sandbox)),
      raw: container === undefined ? undefined : () => wanted.raw(container),
      async [Symbol.asyncDispose]() {
        await container?.[Symbol.asyncDispose]();
        await sandbox[Symbol.asyncDispose]();
      },
    };
  } catch (cause) {
    await sandbox[Symbol.asyncDispose]();
    throw cause;
  }
}
