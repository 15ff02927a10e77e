import { z } from "zod";
import { SandboxError } from "../../core/errors.ts";
import type { Store } from "../../store/store.ts";
import { networkUpdate } from "../../wire/control/new-sandbox.ts";
import {
  type Answer,
  type Call,
  type Control,
  type Operation,
  operation,
  operationWith,
} from "./operation.ts";
import { parsedAs } from "./parsed-as.ts";
import { sandboxIdIn } from "./sandbox-id.ts";
import { wireMetric } from "./shapes.ts";

const unixSeconds = z.coerce
  .number()
  .int()
  .min(0)
  .max(8_640_000_000_000)
  .transform((seconds) => new Date(seconds * 1000).toISOString())
  .optional();
const period = z.object({ start: unixSeconds, end: unixSeconds });

export const reportOperations: readonly Operation[] = [
  operation(
    "GET /sandboxes/metrics",
    { name: "sandbox.metrics", summary: "the last readings of several sandboxes" },
    lastMetrics,
  ),
  operation(
    "GET /sandboxes/:id/metrics",
    { name: "sandbox.metrics", summary: "what a sandbox has used" },
    metrics,
  ),
  operationWith(
    "PUT /sandboxes/:id/network",
    {
      name: "sandbox.network",
      summary: "replace what may leave a sandbox",
      success: 204,
      request: networkUpdate,
    },
    async ({ life }, call) => {
      await life.setNetwork(sandboxIdIn(call), call.by.tenant.id, call.body);
      return { status: 204 };
    },
  ),
];

/** Samples of the period, oldest first; one that is taken now where there is none yet, it runs, and now is asked for. */
async function metrics({ life, store }: Control, call: Call<undefined>): Promise<Answer> {
  const id = sandboxIdIn(call);
  const tenantId = call.by.tenant.id;
  await life.present(id, tenantId);
  const { start, end } = parsedAs(period, {
    start: call.query("start")[0],
    end: call.query("end")[0],
  });
  const samples = await store.metrics.between(id, {
    ...(start === undefined ? {} : { since: start }),
    ...(end === undefined ? {} : { until: end }),
  });
  const isAboutNow = end === undefined || end >= new Date().toISOString();
  if (samples.length > 0 || !isAboutNow) return { status: 200, body: samples.map(wireMetric) };
  const sample = await life.sample(id, tenantId);
  return { status: 200, body: sample === undefined ? [] : [wireMetric(sample)] };
}

async function lastMetrics({ store }: Control, call: Call<undefined>): Promise<Answer> {
  const asked = call.query("sandbox_ids").flatMap((ids) => ids.split(","));
  const ids = [...new Set(asked.filter((id) => id !== ""))].slice(0, 100);
  const own = await Promise.all(ids.map((id) => isOwn(store, id, call.by.tenant.id)));
  const latest = await store.metrics.latest(ids.filter((_, index) => own[index]));
  const sandboxes = Object.fromEntries([...latest].map(([id, each]) => [id, wireMetric(each)]));
  return { status: 200, body: { sandboxes } };
}

async function isOwn(store: Store, id: string, tenantId: string): Promise<boolean> {
  try {
    return (await store.sandboxes.get(id, tenantId)).state !== "ended";
  } catch (cause) {
    if (SandboxError.from(cause).code !== "not-found") throw cause;
    return false;
  }
}
