import { expect, test } from "vitest";
import { hostMemory, memoryIn } from "./host-memory.ts";

const told = "MemTotal:  24683004 kB\nMemAvailable:   2097152 kB\n";
const meminfo = (): string => told;

test("what the kernel says is read, and nothing is made of what it does not say", () => {
  expect(memoryIn(told)).toEqual({ totalMiB: 24_104, availableMiB: 2048 });
  expect(memoryIn("MemTotal:  24683004 kB\n").availableMiB).toBe(Infinity);
});

test("two that are made at once do not both take the last memory, and what is given back is there again", () => {
  const memory = hostMemory({ promisedMiB: () => 0, overcommit: undefined, meminfo });
  const first = memory.reserve(1000);
  expect(() => memory.reserve(1000)).toThrow(
    expect.objectContaining({
      code: "unavailable",
      message: expect.stringContaining("792 MiB left"),
    }),
  );
  first[Symbol.dispose]();
  first[Symbol.dispose]();
  memory.reserve(1000)[Symbol.dispose]();
  expect(() => memory.reserve(1793)).toThrow(expect.objectContaining({ code: "unavailable" }));
});

test("what is promised in all stays below what the server was told", () => {
  let promisedMiB = 20_000;
  const memory = hostMemory({ promisedMiB: () => promisedMiB, overcommit: 1, meminfo });
  memory.reserve(1024)[Symbol.dispose]();
  promisedMiB = 23_500;
  expect(() => memory.reserve(1024)).toThrow(
    expect.objectContaining({
      code: "unavailable",
      message: expect.stringContaining("promised at most"),
    }),
  );
  memory.reserve(1024, { isPromised: true })[Symbol.dispose]();
  expect(() => memory.reserve(1793, { isPromised: true })).toThrow(
    expect.objectContaining({
      code: "unavailable",
      message: expect.stringContaining("MiB left"),
    }),
  );
});
