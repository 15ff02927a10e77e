import { z } from "zod";
import type { WireForkResult } from "../../wire/control/answers.ts";
import { type ForkRequest, fork, newSnapshot, pause } from "../../wire/control/requests.ts";
import { wireErrorOf } from "./failure.ts";
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
import { wireSandbox, wireSnapshot } from "./shapes.ts";

export const powerOperations: readonly Operation[] = [
  operationWith(
    "POST /sandboxes/:id/pause",
    { name: "sandbox.pause", summary: "stop a sandbox and keep it", success: 204, request: pause },
    async ({ life }, call) => {
      const kept = call.body.memory === false ? "files" : "memory";
      await life.pause(sandboxIdIn(call), { tenantId: call.by.tenant.id, kept });
      return { status: 204 };
    },
  ),
  operationWith(
    "POST /sandboxes/:id/snapshots",
    {
      name: "sandbox.snapshot",
      summary: "make a template of a running sandbox",
      success: 201,
      request: newSnapshot,
    },
    async ({ life }, call) => {
      const { tenant } = call.by;
      const request = { tenant, name: call.body.name ?? undefined, isNew: false };
      const snapshot = await life.snapshot(sandboxIdIn(call), request);
      return { status: 201, body: wireSnapshot(snapshot, tenant) };
    },
  ),
  operationWith(
    "POST /sandboxes/:id/fork",
    { name: "sandbox.fork", summary: "make copies of a sandbox", success: 201, request: fork },
    forks,
  ),
  operation(
    "GET /snapshots",
    { name: "snapshot.list", summary: "list snapshots, page by page" },
    snapshots,
  ),
];

/** One entry for each copy: the sandbox, or why there is none. */
async function forks({ life, store }: Control, call: Call<ForkRequest>): Promise<Answer> {
  const { by, signal, body } = call;
  const request = { by, signal, count: body.count, seconds: body.timeout };
  const made = await life.fork(sandboxIdIn(call), request);
  const results = made.map(async (each): Promise<WireForkResult> => {
    if (each.status === "rejected") return { error: wireErrorOf(each.reason) };
    return { sandbox: wireSandbox(each.value, await store.sandboxes.secrets(each.value.id)) };
  });
  return { status: 201, body: await Promise.all(results) };
}

const pageAsked = z.object({
  sandboxId: z.string().min(1).max(64).exactOptional(),
  name: z.string().min(1).max(256).exactOptional(),
  token: z.string().min(1).max(1024).exactOptional(),
  limit: z.coerce.number().int().min(1).max(100).exactOptional(),
});

async function snapshots({ life }: Control, { by, query }: Call<undefined>): Promise<Answer> {
  const names = { sandboxId: "sandboxID", name: "name", token: "nextToken", limit: "limit" };
  const given = Object.entries(names).flatMap(([field, name]) => {
    const [value] = query(name);
    return value === undefined || value === "" ? [] : [[field, value] as const];
  });
  const asked = parsedAs(pageAsked, Object.fromEntries(given));
  const page = await life.snapshots({ ...asked, tenant: by.tenant });
  return {
    status: 200,
    body: page.records.map((record) => wireSnapshot(record, by.tenant)),
    headers: page.nextToken === undefined ? {} : { "x-next-token": page.nextToken },
  };
}
