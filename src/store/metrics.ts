import { sql } from "kysely";
import { z } from "zod";
import { SandboxError } from "../core/errors.ts";
import type { StoreDatabase } from "./database.ts";
import { parsed, shortText, time } from "./door.ts";
import { isMissingReference } from "./faults.ts";
import { type MetricsSample, type MetricsSamples, samplesPerSandbox } from "./metrics-samples.ts";
import type { Queries, Schema, Writing } from "./schema.ts";

const rowsAtOnce = 500;
const longestRange = 10_000;
const mostSandboxes = 1_000;

const reading = z.number().min(0);
const sampleSchema: z.ZodType<MetricsSample> = z.strictObject({
  sandboxId: shortText,
  at: time,
  cpuCount: reading,
  cpuUsedPercent: reading,
  memoryUsedBytes: reading,
  memoryTotalBytes: reading,
  memoryCacheBytes: reading,
  diskUsedBytes: reading,
  diskTotalBytes: reading,
});

/** `ringSize` is how many samples of each sandbox are kept. */
export function metrics(
  database: StoreDatabase,
  ringSize: number = samplesPerSandbox,
): MetricsSamples {
  return {
    append: async (samples) => {
      const checked = parsed(z.array(sampleSchema), samples);
      await database.write(async (writing) => {
        for (const batch of batches(checked)) await write(writing, batch, ringSize);
      });
    },
    between: (sandboxId, range) =>
      database.read((queries) => between(queries, sandboxId, range ?? {})),
    latest: (ids) => database.read((queries) => latest(queries, ids, ringSize)),
  };
}

/** Batches in which each sandbox occurs once, since a statement may touch a row once. */
function batches(samples: readonly MetricsSample[]): readonly (readonly MetricsSample[])[] {
  const made: Map<string, MetricsSample>[] = [];
  for (const sample of samples) {
    let batch = made.find(
      (candidate) => candidate.size < rowsAtOnce && !candidate.has(sample.sandboxId),
    );
    if (batch === undefined) {
      batch = new Map();
      made.push(batch);
    }
    batch.set(sample.sandboxId, sample);
  }
  return made.map((batch) => [...batch.values()]);
}

async function write(
  writing: Writing,
  batch: readonly MetricsSample[],
  ringSize: number,
): Promise<void> {
  const written = await countUp(writing, batch);
  const rows = batch.map((sample) =>
    rowOf(sample, ((written.get(sample.sandboxId) ?? 1) - 1) % ringSize),
  );
  await writing
    .insertInto("metrics")
    .values(rows)
    .onConflict((conflict) =>
      conflict.columns(["sandbox_id", "slot"]).doUpdateSet((row) => ({
        at: row.ref("excluded.at"),
        cpu_count: row.ref("excluded.cpu_count"),
        cpu_used_percent: row.ref("excluded.cpu_used_percent"),
        memory_used_bytes: row.ref("excluded.memory_used_bytes"),
        memory_total_bytes: row.ref("excluded.memory_total_bytes"),
        memory_cache_bytes: row.ref("excluded.memory_cache_bytes"),
        disk_used_bytes: row.ref("excluded.disk_used_bytes"),
        disk_total_bytes: row.ref("excluded.disk_total_bytes"),
      })),
    )
    .execute();
}

/** How many samples each sandbox has had, this one counted. */
async function countUp(
  writing: Writing,
  batch: readonly MetricsSample[],
): Promise<ReadonlyMap<string, number>> {
  try {
    const rings = await writing
      .insertInto("metric_rings")
      .values(batch.map(({ sandboxId }) => ({ sandbox_id: sandboxId, written: 1 })))
      .onConflict((conflict) =>
        conflict
          .column("sandbox_id")
          .doUpdateSet({ written: sql<number>`metric_rings.written + 1` }),
      )
      .returningAll()
      .execute();
    return new Map(rings.map(({ sandbox_id: id, written }) => [id, written]));
  } catch (cause) {
    if (!isMissingReference(cause)) throw cause;
    throw new SandboxError("not-found", "there is no sandbox of such a sample", {
      field: "sandboxId",
      cause,
    });
  }
}

async function between(
  queries: Queries,
  sandboxId: string,
  { since, until, limit = longestRange }: NonNullable<Parameters<MetricsSamples["between"]>[1]>,
): Promise<readonly MetricsSample[]> {
  const wanted = parsed(z.number().int().min(1).max(longestRange), limit);
  let query = queries.selectFrom("metrics").selectAll().where("sandbox_id", "=", sandboxId);
  if (since !== undefined) query = query.where("at", ">=", parsed(time, since));
  if (until !== undefined) query = query.where("at", "<=", parsed(time, until));
  const rows = await query.orderBy("at", "desc").limit(wanted).execute();
  return rows.toReversed().map(sampleOf);
}

async function latest(
  queries: Queries,
  sandboxIds: readonly string[],
  ringSize: number,
): Promise<ReadonlyMap<string, MetricsSample>> {
  const ids = parsed(z.array(shortText).max(mostSandboxes), sandboxIds);
  if (ids.length === 0) return new Map();
  const rows = await queries
    .selectFrom("metrics")
    .innerJoin("metric_rings", "metric_rings.sandbox_id", "metrics.sandbox_id")
    .selectAll("metrics")
    .where("metrics.sandbox_id", "in", ids)
    .where(sql<boolean>`metrics.slot = (metric_rings.written - 1) % ${sql.lit(ringSize)}`)
    .execute();
  return new Map(rows.map((row) => [row.sandbox_id, sampleOf(row)]));
}

function rowOf(sample: MetricsSample, slot: number): Schema["metrics"] {
  return {
    sandbox_id: sample.sandboxId,
    slot,
    at: sample.at,
    cpu_count: sample.cpuCount,
    cpu_used_percent: sample.cpuUsedPercent,
    memory_used_bytes: sample.memoryUsedBytes,
    memory_total_bytes: sample.memoryTotalBytes,
    memory_cache_bytes: sample.memoryCacheBytes,
    disk_used_bytes: sample.diskUsedBytes,
    disk_total_bytes: sample.diskTotalBytes,
  };
}

function sampleOf(row: Schema["metrics"]): MetricsSample {
  return {
    sandboxId: row.sandbox_id,
    at: row.at,
    cpuCount: row.cpu_count,
    cpuUsedPercent: row.cpu_used_percent,
    memoryUsedBytes: row.memory_used_bytes,
    memoryTotalBytes: row.memory_total_bytes,
    memoryCacheBytes: row.memory_cache_bytes,
    diskUsedBytes: row.disk_used_bytes,
    diskTotalBytes: row.disk_total_bytes,
  };
}
