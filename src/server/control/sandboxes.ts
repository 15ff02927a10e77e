import type { z } from "zod";
import type { SandboxRecord } from "../../store/sandbox-record.ts";
import { type ListQuery, listQuery } from "../../wire/control/list-query.ts";
import {
  type NewOwnSandbox,
  newOwnSandbox,
  newSandboxV1,
  newSandboxV2,
} from "../../wire/control/new-sandbox.ts";
import type { SandboxState } from "../../store/state-moves.ts";
import type { Life } from "../life/life.ts";
import type { Tenant } from "../../store/tenant.ts";
import type { Wish } from "../life/wanted.ts";
import { ownName } from "../life/template-catalog.ts";
import {
  type Answer,
  type Call,
  type Control,
  type Operation,
  operation,
  operationWith,
} from "./operation.ts";
import { aliasesFor } from "./aliases.ts";
import { parsedAs } from "./parsed-as.ts";
import { sandboxIdIn } from "./sandbox-id.ts";
import { wireDetail, wireListed, wireSandbox } from "./shapes.ts";

const statesOf: Readonly<Record<"running" | "paused", readonly SandboxState[]>> = {
  running: ["running", "pausing"],
  paused: ["paused", "resuming"],
};

export const sandboxOperations: readonly Operation[] = [
  operationWith(
    "POST /sandboxes",
    { name: "sandbox.create", summary: "make a sandbox", success: 201, request: newSandboxV1 },
    (control, call) => create(control, call, { secure: call.body.secure, asksByHabit: true }),
  ),
  operationWith(
    "POST /v2/sandboxes",
    {
      name: "sandbox.create",
      summary: "make a secured sandbox",
      success: 201,
      request: newSandboxV2,
    },
    (control, call) => create(control, call, { secure: true, asksByHabit: false }),
  ),
  operationWith(
    "POST /cofferdam/v1/sandboxes",
    {
      name: "sandbox.create",
      summary: "make a secured sandbox on a driver, with limits and an idle time-out",
      success: 201,
      request: newOwnSandbox,
    },
    (control, call) => create(control, call, { secure: true, asksByHabit: false }),
  ),
  operation(
    "GET /sandboxes",
    { name: "sandbox.list", summary: "list running sandboxes" },
    (control, call) => list(control, call, { ...listAsked(call), states: ["running"] }),
  ),
  operation(
    "GET /v2/sandboxes",
    { name: "sandbox.list", summary: "list sandboxes, page by page" },
    (control, call) => list(control, call, listAsked(call)),
  ),
  operation(
    "GET /sandboxes/:id",
    { name: "sandbox.get", summary: "say what a sandbox is" },
    async ({ life, store }, call) => {
      const id = sandboxIdIn(call);
      const { record } = await life.present(id, call.by.tenant.id);
      return { status: 200, body: wireDetail(record, await store.sandboxes.secrets(id)) };
    },
  ),
  operation(
    "DELETE /sandboxes/:id",
    { name: "sandbox.kill", summary: "end a sandbox", success: 204 },
    async ({ life }, call) => {
      await life.kill(sandboxIdIn(call), call.by.tenant.id);
      return { status: 204 };
    },
  ),
];

async function create(
  { life, store }: Control,
  { by, body, signal }: Call<NewOwnSandbox>,
  version: Pick<Wish, "secure" | "asksByHabit">,
): Promise<Answer> {
  const record = await life.create({ ...body, ...version }, { by, signal });
  const secrets = await store.sandboxes.secrets(record.id);
  return { status: 201, body: wireSandbox(record, secrets), sandboxId: record.id };
}

type Asked = z.output<typeof listQuery>;

function listAsked(call: Call<unknown>): Asked {
  const names = ["metadata", "startedAfter", "template", "order", "limit", "nextToken"];
  const given = names.flatMap((name) => {
    const [value] = call.query(name);
    return value === undefined || value === "" ? [] : [[name, value] as const];
  });
  return parsedAs(listQuery, { ...Object.fromEntries(given), states: call.query("state") });
}

/** By which sandboxes of a template or of the tenant's snapshot are known. */
async function originNamed(life: Life, asked: string, tenant: Tenant): Promise<string> {
  const [snapshot] = (await life.snapshots({ tenant, name: asked })).records;
  return snapshot?.id ?? ownName(asked);
}

async function list(
  { store, life }: Control,
  { by }: Call<unknown>,
  asked: ListQuery,
): Promise<Answer> {
  const filter = {
    tenantId: by.tenant.id,
    hosts: [life.host],
    ...(asked.metadata === undefined ? {} : { metadata: asked.metadata }),
    ...(asked.template === undefined
      ? {}
      : { template: await originNamed(life, asked.template, by.tenant) }),
    ...(asked.startedAfter === undefined ? {} : { startedAfter: asked.startedAfter }),
  };
  const page = await store.sandboxes.list({
    ...filter,
    states: asked.states.flatMap((state) => statesOf[state]),
    order: asked.order === "asc" ? "oldest-first" : "newest-first",
    limit: asked.limit,
    ...(asked.nextToken === undefined ? {} : { token: asked.nextToken }),
  });
  const aliasOf = await aliasesFor(store, page.records);
  const running = await store.sandboxes.count({ ...filter, states: statesOf.running });
  return {
    status: 200,
    body: page.records.map((record: SandboxRecord) => ({
      ...wireListed(record),
      alias: aliasOf(record),
    })),
    headers: {
      "x-total-running": String(running),
      ...(page.nextToken === undefined ? {} : { "x-next-token": page.nextToken }),
    },
  };
}
