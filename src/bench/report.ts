import { z } from "zod";
import { SandboxError } from "../core/errors.ts";

const amount = z.number().nonnegative();
const figure = amount.nullable();

const failure = z.object({ code: z.string(), message: z.string(), count: z.int().positive() });

const side = z.object({
  /** What was done. */
  title: z.string(),
  n: z.int().nonnegative(),
  p50: figure,
  p90: figure,
  p99: figure,
  max: figure,
  failures: z.array(failure).readonly(),
  /** Every measurement, in the order of its making. */
  samples: z.array(amount).readonly(),
});

const result = z.object({
  driver: z.string(),
  /** The version that the driver's probe told. */
  driverVersion: z.string(),
  scenario: z.string(),
  title: z.string(),
  unit: z.enum(["ms", "MiB"]),
  /** Bytes that each measurement moves; 0 where none are moved. */
  bytes: amount,
  /** Attempts of each side before those that count. */
  warmups: z.int().nonnegative(),
  ours: side,
  /** `null`: there is no raw side; `rawMissing` says why. */
  raw: side.nullable(),
  rawMissing: z.string().optional(),
  ratio: z.object({ p50: amount, low: amount, high: amount }).nullable(),
  /** Pauses of this process's garbage collector while the scenario ran. */
  garbage: z.object({ pauses: z.int().nonnegative(), totalMs: amount }),
  /** The host's one-minute load average before and after. */
  load: z.object({ before: amount, after: amount }),
  /** Further figures, by name with unit. */
  figures: z.record(z.string(), z.number()),
  /** Why the scenario could not be run. */
  problem: failure.optional(),
});

const facts = z.object({
  cpuModel: z.string(),
  cores: z.int().positive(),
  memoryMiB: amount,
  kernel: z.string(),
  cgroup: z.string(),
  node: z.string(),
  /** Versions of the raw runtimes, by name. */
  runtimes: z.record(z.string(), z.string()),
});

const report = z.object({
  version: z.literal(1),
  startedAt: z.iso.datetime(),
  finishedAt: z.iso.datetime(),
  facts,
  results: z.array(result).readonly(),
});

/** A number of attempts that ended in the same error. */
export type Failure = Readonly<z.infer<typeof failure>>;
/** Measurements of one side. */
export type SideResult = Readonly<z.infer<typeof side>>;
/** One scenario on one driver, beside the raw runtime. */
export type ScenarioResult = Readonly<z.infer<typeof result>>;
/** What the figures were measured on. */
export type MachineFacts = Readonly<z.infer<typeof facts>>;
/** A whole run. Its JSON is the file format. */
export type BenchReport = Readonly<z.infer<typeof report>>;

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
