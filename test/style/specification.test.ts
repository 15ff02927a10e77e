import { existsSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { cases } from "../../src/conformance/cases.ts";
import { scenarios } from "../../src/bench/scenarios.ts";

const page = readFileSync("SPECIFICATION.md", "utf8");
const rows = page.split("\n").filter((line) => /^\| \d+\.\d+ \|/.test(line));

test("the specification has numbered promises, each kept by something or pending", () => {
  expect(rows.length).toBeGreaterThan(30);
  const keepers = rows.map((row) => row.split(" | ").at(-1) ?? "");
  expect(keepers.filter((text) => !/["`]|pending/.test(text))).toEqual([]);
});

test("every case that the specification names is in the suite", () => {
  const named = rows.flatMap((row) =>
    [...row.matchAll(/"([^"]+)"/g)].map((match) => match[1] ?? ""),
  );
  const known = new Set(cases.map((each) => each.name));
  expect(named.filter((name) => !known.has(name))).toEqual([]);
});

test("every file that the specification names is there", () => {
  const named = rows.flatMap((row) =>
    [...row.matchAll(/`((?:src|test|bench)\/[^`]+)`/g)].map((match) => match[1] ?? ""),
  );
  expect(named.length).toBeGreaterThan(3);
  expect(named.filter((path) => !existsSync(path))).toEqual([]);
});

test("every scenario that the specification names is in the harness", () => {
  const named = rows.flatMap((row) =>
    [...row.matchAll(/scenarios? ((?:`[^`]+`(?:, )?)+)/g)].flatMap((match) =>
      [...(match[1] ?? "").matchAll(/`([^`]+)`/g)].map((name) => name[1] ?? ""),
    ),
  );
  const known = new Set(scenarios.map((each) => each.name));
  expect(named.length).toBeGreaterThan(5);
  expect(named.filter((name) => !known.has(name))).toEqual([]);
});
