import { assert, property, string } from "fast-check";
import { expect, test } from "vitest";
import { SandboxError } from "../core/errors.ts";
import { barText } from "./progress.ts";
import { asSandboxError, errorDocument, errorText, exitCodeOf } from "./report.ts";
import { Interrupted } from "./interruption.ts";
import { readableBytes, readableMs, table } from "./table.ts";
import { visibleText, withoutColours } from "./visible-text.ts";

// eslint-disable-next-line no-control-regex
const acting = /[\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/u;

test("nothing that a guest calls itself acts on the terminal", () => {
  assert(
    property(string({ unit: "binary" }), (text) => {
      expect(visibleText(text)).not.toMatch(acting);
    }),
  );
  expect(visibleText("\u001b[2Jgone\r\u202e")).toBe(String.raw`\x1b[2Jgone\x0d\u202e`);
  expect(visibleText("a".repeat(2000), 10)).toBe(`${"a".repeat(10)}…`);
});

test("a table aligns its columns, whatever stands in the cells", () => {
  const rows = [
    ["i1", "a\nb", "x"],
    ["i222", "", "y\u001b[31m"],
  ];
  expect(table(["ID", "NAME", "LAST"], rows)).toBe(
    ["ID    NAME  LAST", "i1    a\\nb  x", "i222        y\\x1b[31m", ""].join("\n"),
  );
});

test("an error says what, which option, and what mends it", () => {
  const error = new SandboxError("invalid", "resources.memoryMiB: 5 is too little", {
    field: "resources.memoryMiB",
    mend: "give 32\u001b[0m",
  });
  expect(errorText(error)).toBe(
    "cofferdam: resources.memoryMiB: 5 is too little\n  option: --memory\n  mend: give 32\\x1b[0m\n",
  );
  expect(errorDocument(error)).toEqual({
    code: "invalid",
    message: "resources.memoryMiB: 5 is too little",
    field: "resources.memoryMiB",
    mend: "give 32\u001b[0m",
  });
  expect(exitCodeOf(error)).toBe(64);
  expect(exitCodeOf(new Interrupted("SIGTERM"))).toBe(143);
  expect(exitCodeOf(asSandboxError(new TypeError("oops")))).toBe(70);
});

test("progress, lengths of time and sizes are read at a glance", () => {
  expect(barText(0)).toBe(`[${"-".repeat(24)}]   0%`);
  expect(barText(50)).toBe(`[${"#".repeat(12)}${"-".repeat(12)}]  50%`);
  expect(barText(700)).toBe(`[${"#".repeat(24)}] 100%`);
  expect([850, 4200, 180_000, 7_200_000, 432_000_000].map(readableMs)).toEqual([
    "850 ms",
    "4.2 s",
    "3 min",
    "2 h",
    "5 d",
  ]);
  expect([17, 2_097_152].map(readableBytes)).toEqual(["17 B", "2.0 MiB"]);
  expect(withoutColours("\u001b[0;31mred\u001b[39m")).toBe("red");
});
