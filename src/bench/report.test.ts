import { describe, expect, test } from "vitest";
import { compareReports, comparisonText } from "./compare.ts";
import { sideResult } from "./measure.ts";
import { type BenchReport, type ScenarioResult, parseReport } from "./report.ts";
import { scenarios, scenariosNamed } from "./scenarios.ts";
import { ratioOf } from "./statistics.ts";
import { markdownReport, terminalReport } from "./table.ts";

const around = (middle: number): readonly number[] =>
  Array.from({ length: 40 }, (_, index) => middle + (index % 5) / 10);

function resultOf(middle: number, more: Partial<ScenarioResult> = {}): ScenarioResult {
  return {
    driver: "one",
    driverVersion: "1.0",
    scenario: "command",
    title: "a command",
    unit: "ms",
    bytes: 0,
    warmups: 3,
    ours: sideResult("ours does it", {
      samples: around(middle),
      failures: [{ code: "lost", message: "a | b", count: 2 }],
    }),
    raw: sideResult("raw does it", { samples: around(2), failures: [] }),
    ratio: ratioOf(around(middle), around(2)) ?? null,
    garbage: { pauses: 1, totalMs: 0.5 },
    load: { before: 0, after: 1 },
    figures: { "live sandboxes": 7 },
    ...more,
  };
}

function reportOf(...results: readonly ScenarioResult[]): BenchReport {
  return {
    version: 1,
    startedAt: "2025-01-01T00:00:00.000Z",
    finishedAt: "2025-01-01T00:01:00.000Z",
    facts: {
      cpuModel: "A processor",
      cores: 2,
      memoryMiB: 2048,
      kernel: "6.1",
      cgroup: "v2",
      node: "v20.19.0",
      runtimes: { raw: "1.2" },
    },
    results,
  };
}

describe("a report", () => {
  test("survives its file", () => {
    const report = reportOf(resultOf(4));
    expect(parseReport(JSON.parse(JSON.stringify(report)))).toEqual(report);
  });

  test("is refused when it is something else, with the place", () => {
    expect(() => parseReport({ version: 2 })).toThrow(
      expect.objectContaining({ code: "invalid", field: "version" }),
    );
    const { ours, ...rest } = resultOf(4);
    expect(() => parseReport(reportOf({ ...rest, ours: { ...ours, n: -1 } }))).toThrow(
      expect.objectContaining({ code: "invalid", field: "results.0.ours.n" }),
    );
  });
});

describe("a table", () => {
  test("shows both sides, the ratio, failures and the machine", () => {
    const lines = markdownReport(reportOf(resultOf(4))).split("\n");
    expect(lines[0]).toBe(
      "A processor, 2 cores, 2048 MiB; Linux 6.1, cgroup v2; Node.js v20.19.0; raw 1.2",
    );
    expect(lines).toContainEqual(
      expect.stringMatching(
        /^\| one \| command \| ours \| 4\.20 ms \| 4\.40 ms \| 4\.40 ms \| 4\.40 ms \| 40 \| 2 \| 1\.9\d \(.*\) \|$/,
      ),
    );
    expect(lines).toContainEqual(expect.stringMatching(/^\| {2}\| {2}\| raw \| 2\.20 ms/));
    expect(lines.join("\n")).toContain("live sandboxes 7.00");
  });

  test("gives rates where bytes are moved", () => {
    const text = terminalReport(reportOf(resultOf(100, { bytes: 100 * 1024 ** 2 })));
    expect(text).toContain("100 ms = 1046 MB/s");
  });

  test("says why a scenario could not be run", () => {
    const problem = { code: "unavailable", message: "no runtime", count: 1 };
    const empty = sideResult("ours does it", { samples: [], failures: [] });
    const text = terminalReport(
      reportOf(resultOf(1, { ours: empty, raw: null, ratio: null, problem })),
    );
    expect(text).toContain("one command: could not be run: unavailable: no runtime");
  });
});

function verdict(then: number, now: number): string | undefined {
  return compareReports(reportOf(resultOf(then)), reportOf(resultOf(now)))[0]?.verdict;
}

describe("a comparison", () => {
  test("tells slower and faster from the same", () => {
    expect(verdict(4, 8)).toBe("slower");
    expect(verdict(8, 4)).toBe("faster");
    expect(verdict(4, 4)).toBe("same");
  });

  test("leaves out what only one report has, and says when the machines differ", () => {
    const before = reportOf(resultOf(4, { scenario: "other" }));
    const after = { ...reportOf(resultOf(4)), facts: { ...before.facts, cores: 64 } };
    expect(compareReports(before, after)).toEqual([]);
    expect(comparisonText(before, after)).toContain("The machines differ");
  });
});

describe("scenarios", () => {
  test("have names of their own, and are found by name or by the beginning of it", () => {
    expect(new Set(scenarios.map(({ name }) => name)).size).toBe(scenarios.length);
    expect(scenariosNamed(["cold-start"]).map(({ name }) => name)).toEqual(["cold-start"]);
    expect(scenariosNamed(["files"])).toHaveLength(6);
    expect(() => scenariosNamed(["cold-strat"])).toThrow(
      expect.objectContaining({
        code: "invalid",
        field: "scenario",
        mend: "did you mean cold-start?",
      }),
    );
  });
});
