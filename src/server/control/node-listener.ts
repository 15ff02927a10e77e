import type { IncomingMessage, ServerResponse } from "node:http";
import { SandboxError } from "../../core/errors.ts";
import type { Log, LogFacts } from "../log.ts";
import { secondsSince } from "../observe/measured.ts";
import type { Meters } from "../observe/meters.ts";
import { type RequestSpan, requestSpan } from "../observe/spans.ts";
import { requestIdHeader, requestIdOf } from "../request-id.ts";
import type { ControlPlane } from "./control-plane.ts";
import { linger } from "../data/relay.ts";
import { failureAnswer } from "./failure.ts";
import type { Inquiry } from "./inquiry.ts";
import { readJson } from "./read-json.ts";
import type { Answer } from "./operation.ts";

/** Serves the control plane by node:http. */
export function nodeListener(
  plane: ControlPlane,
  log: Log,
  meters: Pick<Meters, "called">,
): (request: IncomingMessage, response: ServerResponse) => void {
  return (request, response) => void attend({ plane, log, meters, request, response });
}

interface Exchange {
  readonly plane: ControlPlane;
  readonly log: Log;
  readonly meters: Pick<Meters, "called">;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

/** Never rejects. */
async function attend({ plane, log, meters, request, response }: Exchange): Promise<void> {
  const begun = performance.now();
  const facts: Record<string, LogFacts[string]> = {};
  const gone = new AbortController();
  response.once("close", () => gone.abort());
  const inquiry: Inquiry = {
    requestId: requestIdOf(request),
    from: request.socket.remoteAddress ?? null,
    apiKey: single(request.headers["x-api-key"]),
    bearer: /^Bearer ([\w.~+/-]{1,512})$/i.exec(request.headers.authorization ?? "")?.[1],
    signal: gone.signal,
    json: () => readJson(request),
    note: (more) => void Object.assign(facts, more),
  };
  const span = requestSpan("call", request.headers);
  const answered = await span.within(() => serve(plane, request, inquiry));
  response.once("finish", () => linger(request));
  await send(response, answered, inquiry);
  tell({ log, meters, request, inquiry, span, status: answered.status, facts, begun });
}

interface Over extends Pick<Exchange, "log" | "meters" | "request"> {
  readonly inquiry: Inquiry;
  readonly span: RequestSpan;
  readonly status: number;
  readonly facts: LogFacts;
  readonly begun: number;
}

/** Says in the log, the counts and the trace what became of a request. */
function tell({ log, meters, request, inquiry, span, status, facts, begun }: Over): void {
  const { requestId, from } = inquiry;
  const { operation = "unknown", route, code, sandboxId } = facts;
  const seconds = secondsSince(begun);
  const name = String(operation);
  log(quiet.has(name) && status < 400 ? "debug" : "info", "request", {
    requestId,
    method: request.method,
    path: request.url?.split("?", 1)[0]?.slice(0, 256),
    from,
    status,
    durationMs: Math.round(seconds * 10_000) / 10,
    ...facts,
  });
  const failure = typeof code === "string" ? code : undefined;
  meters.called({ operation: name, status, failure, seconds });
  const attributes = {
    "http.request.method": request.method ?? "",
    "cofferdam.request.id": requestId,
    ...(typeof route === "string" ? { "http.route": route } : {}),
    ...(typeof sandboxId === "string" ? { "cofferdam.sandbox.id": sandboxId } : {}),
    ...(failure === undefined ? {} : { "error.type": failure }),
  };
  span.end({ name, status, attributes });
}

/** Asked for again and again by what watches the server. */
const quiet: ReadonlySet<string> = new Set(["server.ready", "server.health", "server.metrics"]);

/** Never rejects. */
async function serve(
  plane: ControlPlane,
  request: IncomingMessage,
  inquiry: Inquiry,
): Promise<Response> {
  const { url = "", method = "GET" } = request;
  try {
    if (!/^\/[\u0021-\u007e]*$/.test(url))
      throw new SandboxError("invalid", "the target is malformed", {
        mend: "encode what is not ASCII",
      });
    const asked = new Request(new URL(`http://server${url}`), { method });
    return await plane.fetch(asked, { inquiry });
  } catch (cause) {
    return asResponse(failureAnswer(SandboxError.from(cause), inquiry.requestId));
  }
}

function asResponse({ status, body }: Answer): Response {
  return Response.json(body, { status });
}

async function send(
  response: ServerResponse,
  answer: Response,
  { requestId }: Inquiry,
): Promise<void> {
  if (response.destroyed || response.headersSent) return;
  const body = Buffer.from(await answer.arrayBuffer());
  const hasBody = answer.status !== 204;
  response.writeHead(answer.status, {
    ...Object.fromEntries(answer.headers),
    ...(hasBody ? { "content-length": body.length } : {}),
    [requestIdHeader]: requestId,
    "x-content-type-options": "nosniff",
    "cache-control": "no-store",
  });
  response.end(hasBody ? body : undefined);
}

function single(value: string | readonly string[] | undefined): string | undefined {
  return typeof value === "string" ? value : undefined;
}
