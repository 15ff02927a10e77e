import { expect, test } from "vitest";
import { repeats } from "./repeats.ts";

const hourMs = 3_600_000;

test("of calls that are alike the first of each hour is recorded, with how many went by", () => {
  let now = 0;
  const calls = repeats(() => now);
  expect(calls.count("a")).toBe(0);
  expect([calls.count("a"), calls.count("a")]).toEqual([undefined, undefined]);
  expect(calls.count("b")).toBe(0);
  now = hourMs;
  expect(calls.count("a")).toBe(2);
  expect(calls.count("a")).toBeUndefined();
  expect(calls.end("a")).toBe(1);
  expect(calls.count("a")).toBe(0);
});

test("kinds of which nothing was heard for long are forgotten", () => {
  let now = 0;
  const calls = repeats(() => now);
  calls.count("a");
  calls.count("a");
  now = 2 * hourMs;
  calls.count("b");
  expect(calls.count("a")).toBe(0);
});
