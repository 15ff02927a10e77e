import { SandboxError } from "../../core/errors.ts";
import type { Capability } from "../../core/driver.ts";
import { fork, newSnapshot, pause } from "../../wire/control/requests.ts";
import {
  type Answer,
  type Call,
  type Control,
  type Operation,
  operation,
  operationWith,
} from "./operation.ts";
import { sandboxIdIn } from "./sandbox-id.ts";

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
    (control, call) => lacking(control, call, "snapshot"),
  ),
  operationWith(
    "POST /sandboxes/:id/fork",
    { name: "sandbox.fork", summary: "make copies of a sandbox", success: 201, request: fork },
    (control, call) => lacking(control, call, "snapshot"),
  ),
  operation(
    "GET /snapshots",
    { name: "snapshot.list", summary: "list snapshots, page by page" },
    snapshots,
  ),
];

/** Throws `not-found` first, so that nobody learns of another's sandbox; then `unsupported`: no driver here has the power. */
async function lacking(
  { life }: Control,
  call: Call<unknown>,
  capability: Capability,
): Promise<never> {
  const { driver } = await life.present(sandboxIdIn(call), call.by.tenant.id);
  throw new SandboxError("unsupported", `the driver ${driver.name} has no ${capability} yet`, {
    field: capability,
  });
}

async function snapshots({ store }: Control, { by, query }: Call<undefined>): Promise<Answer> {
  const [sandboxId] = query("sandboxID");
  const [name] = query("name");
  const [token] = query("nextToken");
  const [limit] = query("limit");
  const page = await store.snapshots.list({
    tenantId: by.tenant.id,
    ...(sandboxId === undefined ? {} : { sandboxId }),
    ...(name === undefined ? {} : { name }),
    ...(token === undefined ? {} : { token }),
    ...(limit === undefined ? {} : { limit: Number(limit) }),
  });
  return {
    status: 200,
    body: page.records.map(({ id, names }) => ({ snapshotID: id, names })),
    headers: page.nextToken === undefined ? {} : { "x-next-token": page.nextToken },
  };
}
