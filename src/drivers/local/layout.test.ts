import { expect, test } from "vitest";
import { controlGroup, machinePlaces } from "./layout.ts";
import { limitFiles } from "./control-groups.ts";
import { isMachineId, newMachineId } from "./machine-id.ts";

test("ids are never the same and are safe as names", () => {
  const ids = Array.from({ length: 2000 }, newMachineId);
  expect(new Set(ids).size).toBe(ids.length);
  expect(ids.every(isMachineId)).toBe(true);
  for (const wrong of [
    "",
    "..",
    "i/../../../../../../x",
    "iABCDEFGHIJKLMNOPQRST",
    `${newMachineId()}x`,
  ])
    expect(isMachineId(wrong)).toBe(false);
});

test("a machine's control group is below its state directory's own", () => {
  const [one, other] = [controlGroup("/var/lib/one", "i1"), controlGroup("/var/lib/other", "i1")];
  expect(one).toMatch(/^cofferdam\/[0-9a-f]{8}\/i1$/);
  expect(one).not.toBe(other);
  expect(machinePlaces("/var/lib/one", "i1").directory).toBe("/var/lib/one/machines/i1");
});

test("limits are told by the version of control groups that holds each", () => {
  const unified = "cgroup2 /sys/fs/cgroup cgroup2 rw,nosuid 0 0\n";
  expect(limitFiles(unified)).toEqual({
    cpu: "cgroup v2 cpu.max",
    memory: "cgroup v2 memory.max, with memory.swap.max 0",
    pids: "cgroup v2 pids.max",
  });
  const hybrid = `${unified}cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,cpu,cpuacct 0 0\ncgroup /sys/fs/cgroup/pids cgroup rw,pids 0 0\n`;
  expect(limitFiles(hybrid)).toMatchObject({
    cpu: "cgroup v1 cpu.cfs_quota_us",
    memory: "cgroup v2 memory.max, with memory.swap.max 0",
    pids: "cgroup v1 pids.max",
  });
});
