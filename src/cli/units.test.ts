import { assert, property, string } from "fast-check";
import { describe, expect, test } from "vitest";
import { SandboxError } from "../core/errors.ts";
import { parseAssignment, parseMebibytes, parseMilliseconds, parseNumber } from "./units.ts";

function mendOf(act: () => unknown): string | undefined {
  try {
    act();
  } catch (error) {
    if (error instanceof SandboxError && error.code === "invalid") return error.mend;
    throw error;
  }
  throw new Error("expected a refusal");
}

describe("sizes", () => {
  test.each([
    ["512", 512],
    ["512MiB", 512],
    ["2GiB", 2048],
    ["1.5GiB", 1536],
    ["1 GiB", 1024],
    ["1TiB", 1_048_576],
    ["512mib", 512],
    ["2gib", 2048],
  ])("%s", (value, mebibytes) => {
    expect(parseMebibytes("resources.memoryMiB", value)).toBe(mebibytes);
  });

  test.each([
    ["12GB", "write 12GiB for powers of 1024"],
    ["1g", "write 1GiB for powers of 1024"],
    ["512M", "write 512MiB for powers of 1024"],
    ["512mb", "write 512MiB for powers of 1024"],
    ["3KiB", "use MiB, GiB or TiB"],
    ["0.5", "write 1MiB"],
    ["much", "write 512MiB or 2GiB; a number alone is MiB"],
    ["-5", "write 512MiB or 2GiB; a number alone is MiB"],
    ["1e3", "write 512MiB or 2GiB; a number alone is MiB"],
    ["", "write 512MiB or 2GiB; a number alone is MiB"],
  ])("%s is refused and mended", (value, mend) => {
    expect(mendOf(() => parseMebibytes("resources.memoryMiB", value))).toBe(mend);
  });
});

describe("lengths of time", () => {
  test.each([
    ["0", 0],
    ["500ms", 500],
    ["30s", 30_000],
    ["1.5s", 1500],
    ["5m", 300_000],
    ["1h30m", 5_400_000],
    ["2d", 172_800_000],
  ])("%s", (value, milliseconds) => {
    expect(parseMilliseconds("timeoutMs", value)).toBe(milliseconds);
  });

  test.each([
    ["30", "write 30s or 30ms"],
    ["5 minutes", "write 500ms, 30s, 5m, 1h30m or 2d; 0 is never"],
    ["-5s", "write 500ms, 30s, 5m, 1h30m or 2d; 0 is never"],
    ["5s5", "write 500ms, 30s, 5m, 1h30m or 2d; 0 is never"],
  ])("%s is refused and mended", (value, mend) => {
    expect(mendOf(() => parseMilliseconds("timeoutMs", value))).toBe(mend);
  });
});

test("any text is a size, a length of time and a number, or is refused as invalid with a mend", () => {
  const parsers = [parseMebibytes, parseMilliseconds, parseNumber];
  assert(
    property(string(), (value) =>
      parsers.every((parse) => isNumberOrMended(() => parse("f", value))),
    ),
  );
});

function isNumberOrMended(act: () => number): boolean {
  try {
    return act() >= 0;
  } catch (error) {
    if (!(error instanceof SandboxError)) throw error;
    return error.code === "invalid" && error.field === "f" && error.mend !== undefined;
  }
}

test("an assignment is split at its first equals sign, and the last one of a name wins", () => {
  const first = parseAssignment("envs", "A=1=2");
  expect(parseAssignment("envs", "A=3", { ...first, B: "" })).toEqual({ A: "3", B: "" });
  expect(mendOf(() => parseAssignment("envs", "HOME"))).toContain("nothing is taken from the host");
});
