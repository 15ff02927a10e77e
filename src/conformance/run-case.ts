import type { Driver } from "../core/driver.ts";
import { SandboxError } from "../core/errors.ts";
import type { Case } from "./case.ts";
import { openContext, type SuiteOptions } from "./context.ts";
import { NotRun } from "./not-run.ts";
import { hostPatience, withPatience } from "./patience.ts";

/** What became of one case against one driver. */
export interface Outcome {
  readonly case: Case;
  readonly status: "passed" | "refused" | "not-run" | "failed";
  /** Why it was refused, not run or failed. */
  readonly reason: string | undefined;
  readonly error: unknown;
  readonly tookMs: number;
}

const usualLimitMs = 60_000;

/** How long a case may take. Milliseconds. */
export function caseLimitMs(each: Case): number {
  return hostPatience * (each.limitMs ?? usualLimitMs);
}

/** Why a case does not concern the driver, or undefined when it does. */
export function lacking(driver: Driver, each: Case): string | undefined {
  return each.needs === undefined || driver.capabilities.has(each.needs)
    ? undefined
    : `the driver has no ${each.needs}`;
}

/** Runs one case. Never throws; what the case made is gone afterwards. */
export async function runCase(driver: Driver, each: Case, options: SuiteOptions): Promise<Outcome> {
  const begun = performance.now();
  const outcome = (status: Outcome["status"], reason?: string, error?: unknown): Outcome => ({
    case: each,
    status,
    reason,
    error,
    tookMs: performance.now() - begun,
  });
  const lacks = lacking(driver, each);
  if (lacks !== undefined) return outcome("not-run", lacks);
  try {
    await checkOnce(driver, each, options);
    return outcome("passed");
  } catch (error) {
    if (error instanceof NotRun) return outcome("not-run", error.message);
    if (each.mayRefuse === true && error instanceof SandboxError && error.code === "unsupported")
      return outcome("refused", `${error.code}: ${error.message}`);
    return outcome("failed", error instanceof Error ? error.message : String(error), error);
  }
}

async function checkOnce(driver: Driver, each: Case, options: SuiteOptions): Promise<void> {
  const { patience = 1 } = options;
  const limitMs = caseLimitMs(each) * patience;
  const over = new AbortController();
  await using open = openContext(driver, options, over.signal);
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      over.abort();
      reject(new Error(`the case did not finish within ${limitMs} ms`));
    }, limitMs);
  });
  try {
    await Promise.race([withPatience(patience, () => each.check(open.context)), late]);
  } finally {
    clearTimeout(timer);
  }
}
