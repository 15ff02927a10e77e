import { SandboxError } from "../../core/errors.ts";
import type { SandboxRecord } from "../../store/sandbox-record.ts";
import type { WireOwnSandbox } from "../../wire/control/answers.ts";
import { hold, ownLifetime } from "../../wire/control/new-sandbox.ts";
import { aliasesFor } from "./aliases.ts";
import {
  type Answer,
  type Call,
  type Control,
  type Operation,
  operation,
  operationWith,
} from "./operation.ts";
import { sandboxIdIn } from "./sandbox-id.ts";
import { wireListed, wireSandbox } from "./shapes.ts";

/** What this server says and does beside the protocol for one sandbox. */
export const ownSandboxOperations: readonly Operation[] = [
  operation(
    "GET /cofferdam/v1/sandboxes/:id",
    { name: "sandbox.get", summary: "say what a sandbox is, or why it has ended" },
    async (control, call) => {
      const { sandboxes } = control.store;
      return answerOf(control, await sandboxes.get(sandboxIdIn(call), call.by.tenant.id));
    },
  ),
  operationWith(
    "POST /cofferdam/v1/sandboxes/:id/hold",
    {
      name: "sandbox.hold",
      summary: "say that a sandbox is wanted, and wait until it has ended",
      request: hold,
    },
    async (control, call) => {
      const signal = AbortSignal.any([call.signal, control.ending]);
      const request = { ...call.body, signal };
      const record = await control.life.hold(sandboxIdIn(call), call.by.tenant.id, request);
      return { ...(await answerOf(control, record)), repeats: record.state !== "ended" };
    },
  ),
  operationWith(
    "POST /cofferdam/v1/sandboxes/:id/lifetime",
    {
      name: "sandbox.timeout",
      summary: "end a sandbox so many milliseconds from now",
      success: 204,
      request: ownLifetime,
    },
    async ({ life }, call) => {
      const request = { seconds: call.body.lifetimeMs / 1000, tenant: call.by.tenant };
      await life.setLifetime(sandboxIdIn(call), request);
      return { status: 204 };
    },
  ),
  operation(
    "GET /cofferdam/v1/sandboxes/:id/metrics",
    { name: "sandbox.metrics", summary: "what a sandbox uses now" },
    metrics,
  ),
];

/** A sandbox as our own calls tell it, also once it has ended. */
export async function answerOf(
  { store, life }: Pick<Control, "store" | "life">,
  record: SandboxRecord,
): Promise<Answer> {
  const hasEnded = record.state === "ended";
  const kept = { envdAccessToken: null, trafficAccessToken: null, envs: {} };
  const secrets = hasEnded ? kept : await store.sandboxes.secrets(record.id);
  const { startedAt, endAt, state } = wireListed(record);
  const { driver, endReason, idleTimeoutMs, resources, metadata } = record;
  const aliasOf = await aliasesFor(store, [record]);
  const { clientID: _, ...told } = wireSandbox(record, secrets);
  const body: WireOwnSandbox = {
    ...told,
    alias: aliasOf(record),
    driver,
    leaseMs: life.leaseOf(record.id) ?? null,
    state: hasEnded ? "ended" : state,
    endReason,
    startedAt,
    endAt,
    idleTimeoutMs,
    resources,
    metadata,
  };
  return { status: 200, body };
}

/** Exact, where the protocol rounds. */
async function metrics({ life }: Control, call: Call<undefined>): Promise<Answer> {
  const sample = await life.sample(sandboxIdIn(call), call.by.tenant.id);
  if (sample === undefined)
    throw new SandboxError("conflict", "the sandbox is paused", {
      mend: "connect to it first",
    });
  const { sandboxId: _, at, ...reading } = sample;
  return { status: 200, body: { timestamp: at, ...reading } };
}
