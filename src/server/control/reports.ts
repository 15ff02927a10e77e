import { z } from "zod";
import { SandboxError } from "../../core/errors.ts";
import type { Store } from "../../store/store.ts";
import type { AuditRecord } from "../../audit/audit-record.ts";
import { networkUpdate } from "../../wire/control/new-sandbox.ts";
import type { WireLogEntry } from "../../wire/control/answers.ts";
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
const logLimit = z.object({ limit: z.coerce.number().int().min(1).max(1000).default(1000) });

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
  operation(
    "GET /sandboxes/:id/logs",
    { name: "sandbox.logs", summary: "what happened to a sandbox" },
    async (control, call) => {
      const logEntries = await logs(control, call);
      const lines = logEntries.map(({ timestamp, message }) => ({ timestamp, line: message }));
      return { status: 200, body: { logs: lines, logEntries } };
    },
  ),
  operation(
    "GET /v2/sandboxes/:id/logs",
    { name: "sandbox.logs", summary: "what happened to a sandbox" },
    async (control, call) => ({ status: 200, body: { logs: await logs(control, call) } }),
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

/** What the audit log says of a sandbox, oldest first: its creation, calls that changed it, its end. */
async function logs(
  { audit, store }: Control,
  call: Call<undefined>,
): Promise<readonly WireLogEntry[]> {
  const id = sandboxIdIn(call);
  await store.sandboxes.get(id, call.by.tenant.id);
  const { limit } = parsedAs(logLimit, { limit: call.query("limit")[0] });
  const page = await audit.query({ sandboxId: id, limit });
  return page.records.toReversed().map(logEntry);
}

function logEntry({ at, action, result, details }: AuditRecord): WireLogEntry {
  return {
    timestamp: at,
    level: "info",
    message: `${action}: ${result}`,
    fields: { action, result, ...(details["driver"] ? { driver: details["driver"] } : {}) },
  };
}
