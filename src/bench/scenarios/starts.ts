import type { SandboxOptions } from "../../core/options.ts";
import { SandboxError } from "../../core/errors.ts";
import { clock } from "../clock.ts";
import { rawRun } from "../raw-side.ts";
import type { Scenario, Sides, Stage } from "../scenario.ts";

const evaluateWithIPython =
  "from IPython.core.interactiveshell import InteractiveShell as Shell; print(Shell.instance().run_cell('1+1', silent=True).result, flush=True)";

/** From the call that makes a sandbox to the first byte of its first command. */
export const coldStart: Scenario = {
  ...coldStartOf("echo", ["/bin/echo", "ready"]),
  name: "cold-start",
};

/** The same, with a command that takes time to start itself. */
export const coldStartPython: Scenario = {
  ...coldStartOf("python3", ["/usr/bin/python3", "-c", "print('ready', flush=True)"]),
  name: "cold-start-python",
};

/** From the call that makes a sandbox with kernels to the first result of code. */
export const kernelStart: Scenario = {
  name: "kernel-start",
  title: "create a sandbox with kernels, to the first result of runCode `1+1`",
  rawTitle: "start a container of the same root, to the first result of IPython's shell for `1+1`",
  unit: "ms",
  count: () => 20,
  warmups: 1,
  prepare: (stage) =>
    Promise.resolve(
      startSides(stage, {
        options: { template: "code-interpreter" },
        argv: ["/usr/bin/python3", "-c", evaluateWithIPython],
        first: async (sandbox) => {
          const { results, error } = await sandbox.runCode("1+1");
          if (error !== undefined || results[0]?.text !== "2") throw wrongAnswer("runCode");
          return clock();
        },
      }),
    ),
};

function coldStartOf(shown: string, argv: readonly [string, ...string[]]): Omit<Scenario, "name"> {
  return {
    title: `create a sandbox, to the first byte of its first command (${shown})`,
    rawTitle: `start a container for the same command, to its first byte (${shown})`,
    unit: "ms",
    count: () => 50,
    warmups: 3,
    prepare: (stage) =>
      Promise.resolve(
        startSides(stage, {
          options: { template: "base" },
          argv,
          first: async (sandbox) => {
            let firstByteAtMs: number | undefined;
            await sandbox.commands.run(argv, { onStdout: () => (firstByteAtMs ??= clock()) });
            if (firstByteAtMs === undefined) throw wrongAnswer("the command");
            return firstByteAtMs;
          },
        }),
      ),
  };
}

interface Start {
  readonly options: SandboxOptions & { readonly template: string };
  /** The raw side's command. */
  readonly argv: readonly string[];
  /** When the sandbox gave its first answer, on `clock`. */
  readonly first: (sandbox: Awaited<ReturnType<Stage["create"]>>) => Promise<number>;
}

function startSides(stage: Stage, { options, argv, first }: Start): Sides {
  const { raw } = stage.subject;
  const place = { directory: stage.directory, template: options.template };
  return {
    async ours() {
      const startedAtMs = clock();
      await using sandbox = await stage.create(options);
      return (await first(sandbox)) - startedAtMs;
    },
    raw: raw === undefined ? undefined : () => rawRun(raw, place, argv),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

function wrongAnswer(who: string): SandboxError {
  return new SandboxError("internal", `${who} did not answer as it should`);
}
