import { Hono } from "hono";
import { SandboxError } from "../../core/errors.ts";
import type { Authenticated } from "../../store/api-key.ts";
import type { Log } from "../log.ts";
import { failureAnswer, refusal } from "./failure.ts";
import type { Inquiry } from "./inquiry.ts";
import { openApiDocument } from "./open-api.ts";
import type { Answer, Call, Control, Operation } from "./operation.ts";
import { operations } from "./operations.ts";
import { type Recorder, recorder } from "./recorder.ts";

/** What a request brings that its Request does not hold. */
export interface Bindings {
  readonly inquiry: Inquiry;
}

/** The control plane, as hono serves it. */
export type ControlPlane = Hono<{ Bindings: Bindings }>;

interface Serving {
  readonly control: Control;
  readonly record: Recorder;
}

const documentPath = "/cofferdam/v1/openapi.json";

export function controlPlane(control: Control, log: Log): ControlPlane {
  const serving: Serving = { control, record: recorder(control.audit, log) };
  const plane: ControlPlane = new Hono();
  const document = openApiDocument(operations, control.version);
  plane.get(documentPath, (context) => context.json(document));
  for (const operation of operations)
    plane.on(operation.method, [operation.path], async (context) => {
      const { inquiry } = context.env;
      const url = new URL(context.req.url);
      const answer = await follow(serving, operation, {
        inquiry,
        param: (name) => context.req.param(name) ?? "",
        query: (name) => url.searchParams.getAll(name),
      });
      return responseOf(answer);
    });
  plane.notFound((context) => {
    const route = `${context.req.method} ${context.req.path}`.slice(0, 200);
    return responseOf(refusal(404, `there is no operation ${route}`));
  });
  plane.onError((cause, context) => {
    const { requestId } = context.env.inquiry;
    log("error", "a request failed", { requestId, error: String(cause.stack ?? cause) });
    return responseOf(failureAnswer(cause, requestId));
  });
  return plane;
}

interface Visit extends Pick<Call<unknown>, "param" | "query"> {
  readonly inquiry: Inquiry;
}

/** Judges who asks, reads what is asked, does it, and has it recorded. */
async function follow(serving: Serving, operation: Operation, visit: Visit): Promise<Answer> {
  const { control, record } = serving;
  const { inquiry } = visit;
  inquiry.note({ operation: operation.name, route: `${operation.method} ${operation.path}` });
  if (operation.guard !== "key")
    return attempt(inquiry, () => {
      if (operation.guard === "operator") control.operator.admit(inquiry.bearer);
      return operation.run(control, call(visit, nobody, {}));
    });
  let by: Authenticated | undefined;
  const answer = await attempt(inquiry, async () => {
    by = await control.store.keys.authenticate(inquiry.apiKey ?? "");
    const body = operation.request === undefined ? undefined : await inquiry.json();
    return operation.run(control, call(visit, by, body));
  });
  const sandboxId = answer.sandboxId ?? (visit.param("id") || undefined);
  inquiry.note({ sandboxId, tenantId: by?.tenant.id });
  await record({ operation, by, answer, sandboxId, inquiry });
  return answer;
}

function call(visit: Visit, by: Authenticated, body: unknown): Call<unknown> {
  const { inquiry, param, query } = visit;
  return { by, body, signal: inquiry.signal, param, query };
}

/** Who asks where no key is needed. */
const nobody: Authenticated = {
  key: {
    id: "",
    tenantId: "",
    name: "",
    prefix: "",
    createdAt: "",
    lastUsedAt: null,
    revokedAt: null,
  },
  tenant: {
    id: "",
    name: "",
    createdAt: "",
    limits: {
      maxSandboxes: 0,
      maxCpus: 0,
      maxMemoryMiB: 0,
      maxKept: 0,
      maxLifetimeMs: 0,
      createsPerMinute: 0,
    },
  },
};

/** What is thrown becomes an answer; what went wrong inside is kept for the log. */
async function attempt(inquiry: Inquiry, work: () => Promise<Answer>): Promise<Answer> {
  try {
    return await work();
  } catch (cause) {
    const error = SandboxError.from(cause);
    const told = error.code === "internal" ? String(error.stack) : error.message;
    inquiry.note({ code: error.code, error: told });
    return failureAnswer(error, inquiry.requestId);
  }
}

function responseOf({ status, body, text, headers = {} }: Answer): Response {
  if (text !== undefined) return new Response(text, { status, headers });
  if (body === undefined) return new Response(null, { status, headers });
  return new Response(JSON.stringify(body), {
    status,
    headers: { "content-type": "application/json", ...headers },
  });
}
