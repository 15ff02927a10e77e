import {
  type ConnectRequest,
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
    { name: "sandbox.connect", summary: "use a sandbox, and let it live on", request: connectV1 },
    connect,
  ),
  operationWith(
    "POST /v2/sandboxes/:id/connect",
    { name: "sandbox.connect", summary: "use a sandbox, and let it live on", request: connectV2 },
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
    async (control, call) => ({ ...(await connect(control, call)), status: 201 }),
  ),
  operationWith(
    "POST /sandboxes/:id/timeout",
    {
      name: "sandbox.timeout",
      summary: "end a sandbox so many seconds from now",
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
  const record = await life.extend(id, { seconds: call.body.timeout, tenant: call.by.tenant });
  return { status: 200, body: wireSandbox(record, await store.sandboxes.secrets(id)) };
}
