import { afterAll, describe, expect, test, vi } from "vitest";
import type { Driver } from "../../src/core/driver.ts";
import type { Case } from "../../src/conformance/case.ts";
import { cases } from "../../src/conformance/cases.ts";
import type { SuiteOptions } from "../../src/conformance/context.ts";
import { patienceWith } from "../../src/conformance/patience.ts";
import { hostView } from "../../src/conformance/host.ts";
import { caseLimitMs, lacking, runCase } from "../../src/conformance/run-case.ts";

/** What a conformance test file knows of its driver. */
export interface Subject extends SuiteOptions {
  readonly driver: Driver;
  /** Default: the driver's name. */
  readonly title?: string;
  /** Why a case is left to `npm run conformance`; `undefined`: it is not. */
  readonly leaveOut?: (each: Case) => string | undefined;
  /** Cases that fail today, each with its reason. One that passes turns the run red, so that its line is taken out. */
  readonly known?: Readonly<Record<string, string>>;
}

vi.setConfig({ maxConcurrency: 3 });

const required = new Set((process.env["REQUIRE_DRIVERS"] ?? "").split(","));

/** Runs every case against a real driver. A missing backend skips aloud, or fails when required; it is never faked. */
export async function conformance(subject: Subject): Promise<void> {
  const { driver, known = {}, leaveOut, title = subject.driver.name, ...options } = subject;
  const available = await driver.probe();
  if (!available.ok && required.has(driver.name))
    throw new Error(`${driver.name} is required here but absent: ${available.reason}`);
  const patience = patienceWith(available);
  const heading = available.ok ? title : `${title} (absent: ${available.reason})`;

  const declare = (each: Case): void => {
    const lacks = available.ok ? (leaveOut?.(each) ?? lacking(driver, each)) : available.reason;
    const runner = each.alone === true ? test : test.concurrent;
    runner(
      `${each.topic}: ${each.name}`,
      { timeout: caseLimitMs(each) * patience + 60_000 },
      async ({ skip }) => {
        if (lacks !== undefined) skip(`not run: ${lacks}`);
        const outcome = await runCase(driver, each, { ...options, patience });
        if (outcome.status === "not-run" || outcome.status === "refused")
          skip(`${outcome.status}: ${outcome.reason}`);
        if (each.name in known)
          expect(outcome.status, `known to fail (${known[each.name]}), but it passes`).toBe(
            "failed",
          );
        else if (outcome.status === "failed") throw outcome.error;
      },
    );
  };

  describe(heading, () => {
    for (const each of cases.filter(({ alone }) => alone !== true)) declare(each);
    for (const each of cases.filter(({ alone }) => alone === true)) declare(each);

    test("every known failure names a case", () => {
      const names = new Set(cases.map((each) => each.name));
      expect(Object.keys(known).filter((name) => !names.has(name))).toEqual([]);
    });
  });

  if (available.ok && options.stateDir !== undefined) nothingLeftOf(driver, options.stateDir);
}

/** The suite's last promise: all that it made is gone from this host. */
function nothingLeftOf(driver: Driver, stateDir: string): void {
  const own: string[] = [];
  afterAll(async () => {
    for await (const info of driver.list()) own.push(info.id);
    expect(own, "machines that outlived the suite").toEqual([]);
    expect(
      await hostView(stateDir).traces(`${stateDir}/machines`),
      "what the suite left on this host",
    ).toEqual([]);
  });
}
