import { readFileSync, readdirSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { createSandbox } from "../../src/core/create.ts";
import { runc } from "../../src/drivers/runc/index.ts";

const stateDir = process.env["COFFERDAM_STATE_DIR"] ?? "/var/lib/cofferdam";

/** The process that starts supervisors for this one. */
function launcherPid(): number | undefined {
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  return pids.map(Number).find((pid) => isLauncher(pid));
}

function isLauncher(pid: number): boolean {
  try {
    const words = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
    const parent = /^PPid:\s+(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
    return words[1] === "launcher" && Number(parent) === process.pid;
  } catch {
    return false;
  }
}

function supervisorsOf(pid: number): number {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim();
  const others = readdirSync(`/proc/${pid}/task`).map((task) =>
    readFileSync(`/proc/${pid}/task/${task}/children`, "utf8").trim(),
  );
  return [...new Set([children, ...others])].join(" ").split(" ").filter(Boolean).length;
}

async function untilLauncher(): Promise<number> {
  for (;;) {
    const pid = launcherPid();
    if (pid !== undefined) return pid;
    await sleep(20);
  }
}

test("machines outlive the process that started their supervisors, and are ended whole after it", async () => {
  const driver = runc({ stateDir });
  const options = { template: "base" };
  await using first = await createSandbox(driver, options);
  const launcher = await untilLauncher();
  await sleep(100);
  const second = await createSandbox(driver, options);
  expect(supervisorsOf(launcher)).toBe(1);
  process.kill(launcher, "SIGKILL");
  const said = await second.commands.run(["/bin/echo", "still here"]);
  expect(said.stdout).toBe("still here\n");
  await second.kill();
  expect(await second.isRunning()).toBe(false);
  await using third = await createSandbox(driver, options);
  expect((await third.commands.run(["/bin/true"])).exitCode).toBe(0);
  expect((await first.commands.run(["/bin/true"])).exitCode).toBe(0);
});
