import { z } from "zod";
import type { Driver } from "../../core/driver.ts";
import { SandboxError } from "../../core/errors.ts";
import type { Kept } from "../../core/kept.ts";
import type { AuditLog } from "../../audit/audit-log.ts";
import type { AuditQuery } from "../../audit/audit-record.ts";
import { parseSandboxOptions } from "../../core/options.ts";
import type { SandboxSpec } from "../../core/spec.ts";
import { liveIn } from "../observe/operator.ts";
import { type Answer, type Call, type Control, type Operation, operation } from "./operation.ts";
import { parsedAs } from "./parsed-as.ts";
import { sandboxIdIn } from "./sandbox-id.ts";

const time = z.iso.datetime({ offset: true }).transform((text) => new Date(text).toISOString());
const auditFields = z.object({
  sandboxId: z.string().min(1).max(64).exactOptional(),
  action: z.string().min(1).max(64).exactOptional(),
  result: z.string().min(1).max(64).exactOptional(),
  since: time.exactOptional(),
  until: time.exactOptional(),
  limit: z.coerce.number().int().min(1).max(1000).exactOptional(),
  token: z.string().min(1).max(1024).exactOptional(),
});

/** What this server adds to the protocol. */
export const ownOperations: readonly Operation[] = [
  operation(
    "GET /cofferdam/v1/ready",
    { name: "server.ready", summary: "whether the server takes work", guard: "open" },
    ready,
  ),
  operation(
    "GET /cofferdam/v1/health",
    { name: "server.health", summary: "whether the server and its store work", guard: "open" },
    async ({ store, isReady }) => {
      await store.check();
      return { status: 200, body: { status: isReady() ? "ok" : "draining" } };
    },
  ),
  operation(
    "GET /cofferdam/v1/version",
    { name: "server.version", summary: "the server's version", guard: "open" },
    ({ version }) => Promise.resolve({ status: 200, body: { name: "cofferdam", version } }),
  ),
  operation(
    "GET /cofferdam/v1/status",
    { name: "tenant.status", summary: "what the tenant has and may have" },
    tenantStatus,
  ),
  operation(
    "GET /cofferdam/v1/drivers",
    { name: "driver.list", summary: "drivers, and what enforces what on each" },
    drivers,
  ),
  operation(
    "GET /cofferdam/v1/sandboxes/:id/enforcement",
    { name: "sandbox.enforcement", summary: "what enforces each option of a sandbox" },
    enforcement,
  ),
  operation(
    "GET /cofferdam/v1/audit",
    { name: "audit.query", summary: "records of the tenant's calls, newest first" },
    audit,
  ),
];

async function ready({ store, isReady }: Control): Promise<Answer> {
  if (!isReady())
    throw new SandboxError("unavailable", "the server is ending", {
      mend: "try again when it runs",
    });
  await store.check();
  return { status: 200, body: { ready: true } };
}

async function tenantStatus(control: Control, { by }: Call<undefined>): Promise<Answer> {
  const { life, store, version, isReady } = control;
  const sandboxes = await liveIn(store, by.tenant.id);
  const list = [...life.drivers.values()].map(({ name, isolation, capabilities }) => ({
    name,
    isolation,
    isDefault: name === life.defaultDriver,
    capabilities: [...capabilities],
  }));
  return {
    status: 200,
    body: {
      version,
      isReady: isReady(),
      tenant: by.tenant.name,
      drivers: list,
      sandboxes: Object.fromEntries(sandboxes),
      limits: by.tenant.limits,
    },
  };
}

function drivers({ life }: Control): Promise<Answer> {
  const spec = parseSandboxOptions({ detached: true });
  const list = [...life.drivers.values()].map((driver) => ({
    name: driver.name,
    isolation: driver.isolation,
    capabilities: [...driver.capabilities],
    pauseKeeps: (["memory", "files"] as const).filter((kept) => keeps(driver, spec, kept)),
    isDefault: driver.name === life.defaultDriver,
    enforcement: driver.enforcement(spec),
  }));
  return Promise.resolve({ status: 200, body: list });
}

/** Whether a pause at the end of a sandbox's lifetime can keep so much. */
function keeps(driver: Driver, spec: SandboxSpec, atLifetimeEnd: Kept): boolean {
  try {
    driver.enforcement({ ...spec, lease: { ...spec.lease, atLifetimeEnd } });
    return true;
  } catch (cause) {
    if (SandboxError.from(cause).code !== "unsupported") throw cause;
    return false;
  }
}

async function enforcement({ life }: Control, call: Call<undefined>): Promise<Answer> {
  const { record, driver } = await life.present(sandboxIdIn(call), call.by.tenant.id);
  const lifetimeMs = Date.parse(record.endAt) - Date.parse(record.startedAt);
  const { template, resources, metadata, idleTimeoutMs } = record;
  const report = driver.enforcement({
    template,
    resources,
    metadata,
    lease: {
      lifetimeMs,
      idleTimeoutMs,
      detached: true,
      atLifetimeEnd: record.onTimeout === "pause" ? record.pauseKeeps : "end",
    },
    egress: { allowOut: [], denyOut: [] },
    envs: {},
    seccomp: undefined,
  });
  return { status: 200, body: { driver: driver.name, isolation: driver.isolation, report } };
}

async function audit({ audit: log }: Control, { by, query }: Call<undefined>): Promise<Answer> {
  return auditPage(log, { ...auditAsked(query), tenantId: by.tenant.id });
}

/** The query as the parameters have it; of all tenants. Throws `invalid`. */
export function auditAsked(query: Call<undefined>["query"]): AuditQuery {
  return parsedAs(auditFields, given(auditFields, query));
}

/** The first value of each parameter that the schema knows. */
export function given(
  { shape }: { readonly shape: Readonly<Record<string, unknown>> },
  query: Call<undefined>["query"],
): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.keys(shape).flatMap((name) => {
      const [value] = query(name);
      return value === undefined ? [] : [[name, value] as const];
    }),
  );
}

export async function auditPage(log: AuditLog, query: AuditQuery): Promise<Answer> {
  const { records, nextToken } = await log.query(query);
  return { status: 200, body: { records, nextToken: nextToken ?? null } };
}
