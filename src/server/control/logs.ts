import { z } from "zod";
import type { AuditRecord } from "../../audit/audit-record.ts";
import type { WireLogEntry } from "../../wire/control/answers.ts";
import { type Call, type Control, type Operation, operation } from "./operation.ts";
import { parsedAs } from "./parsed-as.ts";
import { sandboxIdIn } from "./sandbox-id.ts";

/** What only asks: a reader of the log would read about readers. */
const inquiries: readonly string[] = [
  "sandbox.get",
  "sandbox.logs",
  "sandbox.metrics",
  "sandbox.enforcement",
];
const levels = ["debug", "info", "warn", "error"] as const;
const unixMs = z.coerce
  .number()
  .int()
  .min(0)
  .max(8_640_000_000_000_000)
  .transform((milliseconds) => new Date(milliseconds).toISOString())
  .optional();
const limit = z.coerce.number().int().min(1).max(1000).default(1000);
const askedV1 = z.object({ limit, start: unixMs });
const askedV2 = z.object({
  limit,
  cursor: unixMs,
  direction: z.enum(["forward", "backward"]).default("forward"),
  level: z.enum(levels).default("debug"),
  search: z.string().max(1000).default(""),
});

export const logOperations: readonly Operation[] = [
  operation(
    "GET /sandboxes/:id/logs",
    { name: "sandbox.logs", summary: "what happened to a sandbox" },
    async (control, call) => {
      const { start, limit: most } = parsedAs(askedV1, asked(call, ["limit", "start"]));
      const logEntries = await entries(control, call, { since: start, limit: most });
      return { status: 200, body: { logs: logEntries.map(line), logEntries } };
    },
  ),
  operation(
    "GET /v2/sandboxes/:id/logs",
    { name: "sandbox.logs", summary: "what happened to a sandbox" },
    async (control, call) => {
      const names = ["limit", "cursor", "direction", "level", "search"];
      const { cursor, direction, level, search, ...rest } = parsedAs(askedV2, asked(call, names));
      const isForward = direction === "forward";
      const period = isForward ? { since: cursor } : { until: cursor };
      const found = await entries(control, call, { ...period, limit: rest.limit });
      const wanted = found.filter(
        (entry) =>
          levels.indexOf(entry.level) >= levels.indexOf(level) && entry.message.includes(search),
      );
      return { status: 200, body: { logs: isForward ? wanted : wanted.toReversed() } };
    },
  ),
];

function asked(call: Call<undefined>, names: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(names.map((name) => [name, call.query(name)[0]]));
}

interface Wanted {
  /** RFC 3339. */
  readonly since?: string | undefined;
  readonly until?: string | undefined;
  readonly limit: number;
}

/** What the audit log says of a sandbox, oldest first: its creation, calls that changed it, its end. */
async function entries(
  { audit, store }: Control,
  call: Call<undefined>,
  { since, until, limit: most }: Wanted,
): Promise<readonly WireLogEntry[]> {
  const id = sandboxIdIn(call);
  await store.sandboxes.get(id, call.by.tenant.id);
  const page = await audit.query({
    sandboxId: id,
    actionsBut: inquiries,
    limit: most,
    ...(since === undefined ? {} : { since }),
    ...(until === undefined ? {} : { until }),
  });
  return page.records.toReversed().map(logEntry);
}

function logEntry({ at, action, result, details }: AuditRecord): WireLogEntry {
  return {
    timestamp: at,
    level: result === "ok" ? "info" : "warn",
    message: `${action}: ${result}`,
    fields: { action, result, ...(details["driver"] ? { driver: details["driver"] } : {}) },
  };
}

/** An entry as older clients read it: a JSON document. */
function line({ timestamp, level, message, fields }: WireLogEntry): {
  readonly timestamp: string;
  readonly line: string;
} {
  const document = { logger: "cofferdam", level, message, ...fields };
  return { timestamp, line: JSON.stringify(document) };
}
