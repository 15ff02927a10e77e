import { SandboxError } from "../../core/errors.ts";
import {
  type ConnectRequest,
  type ResumeRequest,
  connectV1,
  connectV2,
  refreshes,
  resume,
  timeout,
} from "../../wire/control/requests.ts";
import {
  type Answer,
  type Call,
  type Control,
  type Operation,
  operationWith,
} from "./operation.ts";
import { sandboxIdIn } from "./sandbox-id.ts";
import { wireSandbox } from "./shapes.ts";

export const leaseOperations: readonly Operation[] = [
  operationWith(
    "POST /sandboxes/:id/connect",
    {
      name: "sandbox.connect",
      summary: "use a sandbox, which is resumed if it is paused",
      request: connectV1,
    },
    connect,
  ),
  operationWith(
    "POST /v2/sandboxes/:id/connect",
    {
      name: "sandbox.connect",
      summary: "use a sandbox, which is resumed if it is paused",
      request: connectV2,
    },
    connect,
  ),
  operationWith(
    "POST /sandboxes/:id/resume",
    {
      name: "sandbox.resume",
      summary: "what old clients say for connect",
      success: 201,
      request: resume,
    },
    async (control, call) => {
      await requireSameEnd(control, call);
      return { ...(await connect(control, call)), status: 201 };
    },
  ),
  operationWith(
    "POST /sandboxes/:id/timeout",
    {
      name: "sandbox.timeout",
      summary: "end a sandbox, or pause it where it was made so, that many seconds from now",
      success: 204,
      request: timeout,
    },
    async ({ life }, call) => {
      const request = { seconds: call.body.timeout, tenant: call.by.tenant };
      await life.setLifetime(sandboxIdIn(call), request);
      return { status: 204 };
    },
  ),
  operationWith(
    "POST /sandboxes/:id/refreshes",
    {
      name: "sandbox.refresh",
      summary: "let a sandbox live at least so many seconds more",
      success: 204,
      request: refreshes,
    },
    async ({ life }, call) => {
      const request = { seconds: call.body.duration, tenant: call.by.tenant };
      await life.extend(sandboxIdIn(call), request);
      return { status: 204 };
    },
  ),
];

async function connect({ life, store }: Control, call: Call<ConnectRequest>): Promise<Answer> {
  const id = sandboxIdIn(call);
  const { timeout: seconds, memory } = call.body;
  const request = { seconds, tenant: call.by.tenant, anew: memory === false };
  const { record, wasResumed } = await life.connect(id, request);
  const body = wireSandbox(record, await store.sandboxes.secrets(id));
  return { status: wasResumed ? 201 : 200, body };
}

/** What the end of its lifetime does is the machine's own to know, from its creation on. Throws `unsupported` for a wish that it pause instead. */
async function requireSameEnd({ life }: Control, call: Call<ResumeRequest>): Promise<void> {
  if (call.body.autoPause !== true) return;
  const { record } = await life.present(sandboxIdIn(call), call.by.tenant.id);
  if (record.onTimeout === "pause") return;
  throw new SandboxError(
    "unsupported",
    "autoPause: a sandbox that was made without it does not get it later",
    { field: "autoPause", mend: "make it with autoPause" },
  );
}
