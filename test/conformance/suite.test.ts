import { expect, test } from "vitest";
import { topics } from "../../src/conformance/case.ts";
import { cases } from "../../src/conformance/cases.ts";

test("every case has a name of its own that reads as a sentence without a full stop", () => {
  const names = cases.map((each) => each.name);
  expect(new Set(names).size).toBe(names.length);
  expect(names.filter((name) => name.endsWith(".") || name.length < 20)).toEqual([]);
});

test("every topic has cases", () => {
  expect(topics.filter((topic) => !cases.some((each) => each.topic === topic))).toEqual([]);
});

test("no case knows a driver by its name", () => {
  const sources = cases.map((each) => each.check.toString()).join("\n");
  expect(sources).not.toMatch(
    /driver\.name [=!]==?|["'`](runc|runsc|gvisor|docker|kata|firecracker|qemu|e2b|modal)["'`]/,
  );
});
