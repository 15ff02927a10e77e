import type { Sandbox } from "../../core/sandbox.ts";
import { SandboxError } from "../../core/errors.ts";
import { pause, timed, waitUntil } from "../clock.ts";
import { untilGone } from "../host-processes.ts";
import { rawContainer } from "../raw-side.ts";
import type { Scenario, Sides, Stage } from "../scenario.ts";

const loops = 64;
const busy = `for i in $(seq ${loops}); do (while :; do :; done) & done; echo ready; wait`;
const bomb = "bomb() { bomb | bomb & }; echo ready; bomb; while :; do :; done";

/** How long a runaway runs before it is killed. Milliseconds. */
const ragesMs = 500;

/** Processes that a sandbox may have when a runaway in it is gone: the agent and the one that counts. */
const fewProcesses = 8;

/** A sandbox full of busy loops, from the kill to the last process gone from the host. */
export const runawaySandbox: Scenario = {
  name: "runaway-sandbox",
  title: `kill a sandbox with ${loops} busy loops, until the host has no process of it`,
  rawTitle: `kill a container with ${loops} busy loops, until the host has no process of it`,
  unit: "ms",
  count: () => 10,
  warmups: 1,
  prepare: (stage) => Promise.resolve(busySides(stage)),
};

/** The same with a fork bomb. */
export const forkBombSandbox: Scenario = {
  name: "fork-bomb-sandbox",
  title: "kill a sandbox with a fork bomb, until the host has no process of it",
  rawTitle: "none: a raw container has no limit of its own, the bomb would take the host",
  unit: "ms",
  count: () => 10,
  warmups: 1,
  prepare: (stage) => Promise.resolve(oursAlone((index) => killed(stage, bomb, index))),
};

/** A fork bomb that is killed while its sandbox lives on. */
export const forkBombCommand: Scenario = {
  name: "fork-bomb-command",
  title: "kill a command that is a fork bomb, until a command in the sandbox sees none of it",
  rawTitle: "none: a raw container has no limit of its own, the bomb would take the host",
  unit: "ms",
  count: () => 10,
  warmups: 1,
  prepare: (stage) => Promise.resolve(oursAlone(() => commandKilled(stage))),
};

function oursAlone(ours: Sides["ours"]): Sides {
  return { ours, raw: undefined, [Symbol.asyncDispose]: () => Promise.resolve() };
}

function busySides(stage: Stage): Sides {
  const { raw } = stage.subject;
  const place = { directory: stage.directory, template: "base" };
  return {
    ours: (index) => killed(stage, busy, index),
    raw:
      raw === undefined
        ? undefined
        : async () => {
            await using container = await rawContainer(raw, place, ["/bin/bash", "-c", busy]);
            await pause(ragesMs);
            return await container.end();
          },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

async function killed(stage: Stage, script: string, index: number): Promise<number> {
  await using sandbox = await stage.create({ template: "base", metadata: { attempt: `${index}` } });
  const handle = await sandbox.commands.run(["/bin/bash", "-c", script], { background: true });
  handle.wait().catch(() => undefined);
  await pause(ragesMs);
  return await timed(async () => {
    await sandbox[Symbol.asyncDispose]();
    await untilGone(sandbox.sandboxId);
  });
}

async function commandKilled(stage: Stage): Promise<number> {
  await using sandbox = await stage.create({ template: "base" });
  const handle = await sandbox.commands.run(["/bin/bash", "-c", bomb], { background: true });
  handle.wait().catch(() => undefined);
  await pause(ragesMs);
  return await timed(async () => {
    await handle.kill();
    await waitUntil(() => isQuiet(sandbox), "processes are left in the sandbox");
  });
}

async function isQuiet(sandbox: Sandbox): Promise<boolean> {
  const { stdout } = await sandbox.commands.run(["/bin/sh", "-c", "ls -d /proc/[0-9]* | wc -l"]);
  const count = Number(stdout.trim());
  if (!Number.isInteger(count)) throw new SandboxError("internal", "the count is no number");
  return count <= fewProcesses;
}
