import { z } from "zod";
import { SandboxError } from "../core/errors.ts";

/** A number of attempts that ended in the same error. */
export interface Failure {
  readonly code: string;
  readonly message: string;
  readonly count: number;
}

/** Measurements of one side. */
export interface SideResult {
  /** What was done. */
  readonly title: string;
  readonly n: number;
  readonly p50: number | null;
  readonly p90: number | null;
  readonly p99: number | null;
  readonly max: number | null;
  readonly failures: readonly Failure[];
  /** Every measurement, in the order of its making. */
  readonly samples: readonly number[];
}

/** One scenario on one driver, beside the raw runtime. */
export interface ScenarioResult {
  readonly driver: string;
  /** The version that the driver's probe told. */
  readonly driverVersion: string;
  readonly scenario: string;
  readonly title: string;
  readonly unit: "ms" | "MiB";
  /** Bytes that each measurement moves; 0 where none are moved. */
  readonly bytes: number;
  /** Attempts of each side before those that count. */
  readonly warmups: number;
  readonly ours: SideResult;
  /** `null`: there is no raw side; `rawMissing` says why. */
  readonly raw: SideResult | null;
  readonly rawMissing?: string | undefined;
  readonly ratio: { readonly p50: number; readonly low: number; readonly high: number } | null;
  /** Pauses of this process's garbage collector while the scenario ran. */
  readonly garbage: { readonly pauses: number; readonly totalMs: number };
  /** The host's one-minute load average before and after. */
  readonly load: { readonly before: number; readonly after: number };
  /** Further figures, by name with unit. */
  readonly figures: Readonly<Record<string, number>>;
  /** Why the scenario could not be run. */
  readonly problem?: Failure | undefined;
}

/** What the figures were measured on. */
export interface MachineFacts {
  readonly cpuModel: string;
  readonly cores: number;
  readonly memoryMiB: number;
  readonly kernel: string;
  readonly cgroup: string;
  readonly node: string;
  /** Versions of the raw runtimes, by name. */
  readonly runtimes: Readonly<Record<string, string>>;
}

/** A whole run. Its JSON is the file format. */
export interface BenchReport {
  readonly version: 1;
  readonly startedAt: string;
  readonly finishedAt: string;
  readonly facts: MachineFacts;
  readonly results: readonly ScenarioResult[];
}

const amount = z.number().nonnegative();
const figure = amount.nullable();
const failure = z.object({ code: z.string(), message: z.string(), count: z.int().positive() });
const side = z.object({
  title: z.string(),
  n: z.int().nonnegative(),
  p50: figure,
  p90: figure,
  p99: figure,
  max: figure,
  failures: z.array(failure).readonly(),
  samples: z.array(amount).readonly(),
});
const result = z.object({
  driver: z.string(),
  driverVersion: z.string(),
  scenario: z.string(),
  title: z.string(),
  unit: z.enum(["ms", "MiB"]),
  bytes: amount,
  warmups: z.int().nonnegative(),
  ours: side,
  raw: side.nullable(),
  rawMissing: z.string().optional(),
  ratio: z.object({ p50: amount, low: amount, high: amount }).nullable(),
  garbage: z.object({ pauses: z.int().nonnegative(), totalMs: amount }),
  load: z.object({ before: amount, after: amount }),
  figures: z.record(z.string(), z.number()),
  problem: failure.optional(),
});
const facts = z.object({
  cpuModel: z.string(),
  cores: z.int().positive(),
  memoryMiB: amount,
  kernel: z.string(),
  cgroup: z.string(),
  node: z.string(),
  runtimes: z.record(z.string(), z.string()),
});
const report = z.object({
  version: z.literal(1),
  startedAt: z.iso.datetime(),
  finishedAt: z.iso.datetime(),
  facts,
  results: z.array(result).readonly(),
});

/** A report from a file's JSON. Throws `invalid` with the place that is wrong. */
export function parseReport(value: unknown): BenchReport {
  const parsed = report.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const place = issue?.path.join(".") ?? "";
  throw new SandboxError("invalid", `not a report of the benchmark: ${place}: ${issue?.message}`, {
    field: place === "" ? "report" : place,
    mend: "give a file that `bench --json` wrote",
    cause: parsed.error,
  });
}
