import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { expect, test } from "vitest";
import { pause } from "./clock.ts";
import { processesOf, proportionalMemoryMiB } from "./host-processes.ts";

test("a process is found by what its command line names, with its children, until they are gone", async () => {
  const id = `i${randomBytes(10).toString("hex")}`;
  const script = "sleep 600 & echo $!; wait";
  const shell = spawn("/bin/sh", ["-c", script, id], { stdio: ["ignore", "pipe", "ignore"] });
  const [printed] = (await once(shell.stdout, "data")) as [Buffer];
  const child = Number(printed.toString());
  try {
    const found = processesOf(id);
    expect(new Set(found)).toEqual(new Set([shell.pid, child]));
    expect(proportionalMemoryMiB(found)).toBeGreaterThan(0);
  } finally {
    process.kill(child, "SIGKILL");
    await once(shell, "exit");
  }
  while (processesOf(id).length > 0) await pause(5);
  expect(proportionalMemoryMiB([child])).toBe(0);
});
