import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { expect, test } from "vitest";
import { processesOf, proportionalMemoryMiB, untilGone } from "./host-processes.ts";

test("a process is found by what its command line names, with its children, until they are gone", async () => {
  const id = `i${randomBytes(10).toString("hex")}`;
  const script = "sleep 600 & echo $!; wait";
  const shell = spawn("/bin/sh", ["-c", script, id], { stdio: ["ignore", "pipe", "ignore"] });
  const printed: unknown[] = await once(shell.stdout, "data");
  const child = Number(String(printed[0]));
  try {
    const found = processesOf(id);
    expect(new Set(found)).toEqual(new Set([shell.pid, child]));
    expect(proportionalMemoryMiB(found)).toBeGreaterThan(0);
  } finally {
    process.kill(child, "SIGKILL");
    await once(shell, "exit");
  }
  await untilGone(id);
  expect(processesOf(id)).toEqual([]);
  expect(proportionalMemoryMiB([child])).toBe(0);
});
