import { spawn } from "node:child_process";
import { once } from "node:events";
import { expect, test } from "vitest";
import { startLauncher } from "./launcher.ts";

test.each([
  ["no JSON", "echo nonsense"],
  ["an event of another shape", `echo '{"id":"one"}'`],
  ["a line without end", "yes | tr -d '\\n' | head -c 2000000"],
])("a launcher that says %s is given up, and nothing else is", async (_, says) => {
  const child = spawn("/bin/sh", ["-c", `read -r request; ${says}; exec sleep 60`], {
    stdio: ["pipe", "pipe", "ignore"],
  });
  const launcher = startLauncher(child);
  await once(child, "spawn");
  const launched = launcher.launch(["version"], undefined);
  expect(await launched.firstLine()).toBeUndefined();
  expect([launcher.isOver, launcher.isReady]).toEqual([true, false]);
  child.kill("SIGKILL");
});
