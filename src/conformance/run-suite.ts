import type { Driver } from "../core/driver.ts";
import { cases as allCases } from "./cases.ts";
import type { Case, Topic } from "./case.ts";
import type { SuiteOptions } from "./context.ts";
import { type Outcome, runCase } from "./run-case.ts";

export interface SuiteRun extends SuiteOptions {
  /** Topics wanted; default: all. */
  readonly topics?: readonly Topic[];
  /** Cases whose name contains it; default: all. */
  readonly filter?: string;
  /** How many cases run beside each other; default 3. Those that must be alone are. */
  readonly concurrency?: number;
}

/** Runs the suite against a driver and yields each outcome when it is known. */
export async function* runSuite(driver: Driver, options: SuiteRun = {}): AsyncGenerator<Outcome> {
  const wanted = allCases.filter(
    (each) =>
      (options.topics === undefined || options.topics.includes(each.topic)) &&
      (options.filter === undefined || each.name.includes(options.filter)),
  );
  const together = wanted.filter((each) => each.alone !== true);
  yield* besideEachOther(driver, together, options);
  for (const each of wanted) if (each.alone === true) yield await runCase(driver, each, options);
}

async function* besideEachOther(
  driver: Driver,
  waiting: readonly Case[],
  options: SuiteRun,
): AsyncGenerator<Outcome> {
  const running = new Map<Case, Promise<Outcome>>();
  for (const each of waiting) {
    if (running.size >= (options.concurrency ?? 3)) {
      const done = await Promise.race(running.values());
      running.delete(done.case);
      yield done;
    }
    running.set(each, runCase(driver, each, options));
  }
  while (running.size > 0) {
    const done = await Promise.race(running.values());
    running.delete(done.case);
    yield done;
  }
}
