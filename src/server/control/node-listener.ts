import type { IncomingMessage, ServerResponse } from "node:http";
import { SandboxError } from "../../core/errors.ts";
import type { Log, LogFacts } from "../log.ts";
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
): (request: IncomingMessage, response: ServerResponse) => void {
  return (request, response) => void attend({ plane, log, request, response });
}

interface Exchange {
  readonly plane: ControlPlane;
  readonly log: Log;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

/** Never rejects. */
async function attend({ plane, log, request, response }: Exchange): Promise<void> {
  const begun = performance.now();
  const facts: Record<string, LogFacts[string]> = {};
  const gone = new AbortController();
  response.once("close", () => gone.abort());
  const inquiry: Inquiry = {
    requestId: requestIdOf(request),
    from: request.socket.remoteAddress ?? null,
    apiKey: single(request.headers["x-api-key"]),
    signal: gone.signal,
    json: () => readJson(request),
    note: (more) => void Object.assign(facts, more),
  };
  const answered = await serve(plane, request, inquiry);
  response.once("finish", () => linger(request));
  await send(response, answered, inquiry);
  log("info", "request", {
    requestId: inquiry.requestId,
    method: request.method,
    path: request.url?.split("?", 1)[0]?.slice(0, 256),
    from: inquiry.from,
    status: answered.status,
    durationMs: Math.round((performance.now() - begun) * 10) / 10,
    ...facts,
  });
}

/** Never rejects. */
async function serve(
  plane: ControlPlane,
  request: IncomingMessage,
  inquiry: Inquiry,
): Promise<Response> {
  const { url = "", method = "GET" } = request;
  try {
    if (!/^\/[\u0021-\u007e]*$/.test(url))
      throw new SandboxError("invalid", "the target is malformed");
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
