import { expect, test } from "vitest";
import { SandboxError } from "../../core/errors.ts";
import { hostDisk } from "./host-disk.ts";

function disk(freeMiB: number, promisedMiB = 0, overcommit?: number): ReturnType<typeof hostDisk> {
  const room = (): { totalMiB: number; freeMiB: number } => ({ totalMiB: 100_000, freeMiB });
  return hostDisk({ promisedMiB: () => promisedMiB, overcommit, room });
}

function refusalBy(act: () => unknown): SandboxError {
  try {
    act();
  } catch (cause) {
    return SandboxError.from(cause);
  }
  throw new Error("it was not refused");
}

test("what the host keeps for itself is nobody's: a fiftieth of a large disk", () => {
  const host = disk(3000);
  expect(refusalBy(() => host.reserve(1001))).toMatchObject({
    code: "disk-full",
    field: "resources.diskMiB",
    message: expect.stringContaining("1000 MiB of disk left"),
  });
  host.reserve(1000);
});

test("of two that are made at once one gets the last, and the other once the first is done", () => {
  const host = disk(3000);
  const first = host.reserve(600);
  expect(refusalBy(() => host.reserve(600)).code).toBe("disk-full");
  first[Symbol.dispose]();
  host.reserve(600);
});

test("no more is promised than was said, whatever is free; a snapshot promises nothing", () => {
  const host = disk(90_000, 97_000, 1);
  expect(refusalBy(() => host.reserve(1001)).message).toContain("98000 MiB of disk are promised");
  host.reserve(5000, { isPromised: true });
  host.reserve(1000);
  expect(refusalBy(() => host.reserve(1)).code).toBe("disk-full");
});
