import { expect, test } from "vitest";
import { availableIn } from "./host-memory.ts";

test("what the kernel says is available is read, and nothing is made of what it does not say", () => {
  expect(availableIn("MemTotal:  24683004 kB\nMemAvailable:   2097152 kB\n")).toBe(2048);
  expect(availableIn("MemTotal:  24683004 kB\n")).toBeUndefined();
});
