import type { IncomingMessage } from "node:http";
import type { Way } from "./connections.ts";
import { type RawHeaders, passedOn } from "./headers.ts";
import { valuesOf } from "./route.ts";
import { type Target, isAgentPort } from "./target.ts";

/** What of a request is told to the other side. */
export interface Outgoing {
  readonly request: IncomingMessage;
  readonly target: Target;
  readonly port: number;
  /** Whether headers named the sandbox; they are then ours and end here. */
  readonly byHeaders: boolean;
  readonly behindProxy: boolean;
  /** What the way to the sandbox sets wins over the client's. */
  readonly way: Pick<Way, "headers" | "host">;
}

const routing = ["e2b-sandbox-id", "e2b-sandbox-port", "e2b-traffic-access-token"];
const forwarding = [
  "forwarded",
  "x-forwarded-for",
  "x-forwarded-host",
  "x-forwarded-port",
  "x-forwarded-proto",
  "x-real-ip",
];
/** Written anew for each hop. */
const framing = ["host", "content-length", "expect"];

const withoutBody = new Set(["GET", "HEAD", "DELETE", "OPTIONS", "TRACE"]);

/** The head that is sent on, but for `Connection`. */
export function requestHeaders(outgoing: Outgoing): string[] {
  const { request, target, port, way } = outgoing;
  const { rawHeaders } = request;
  const [host = "localhost"] = valuesOf(rawHeaders, "host");
  const dropped = new Set([...framing, ...forwarding, ...Object.keys(way.headers).map(lower)]);
  const tellsPort = isAgentPort(port) || way.host !== undefined;
  if (outgoing.byHeaders || tellsPort) for (const name of routing) dropped.add(name);
  else dropped.add("e2b-traffic-access-token");
  const headers = ["Host", way.host ?? hostFor(target, port, host)];
  headers.push(...passedOn(rawHeaders, dropped));
  if (tellsPort) headers.push("E2b-Sandbox-Port", String(port));
  if (!isAgentPort(port)) headers.push(...forwarded(outgoing, host));
  for (const [name, value] of Object.entries(way.headers)) headers.push(name, value);
  headers.push(...bodyHeaders(request));
  return headers;
}

function hostFor(target: Target, port: number, host: string): string {
  const mask = isAgentPort(port) ? undefined : target.maskRequestHost;
  return mask === undefined || mask === "" ? host : mask.replaceAll("${PORT}", String(port));
}

function forwarded(outgoing: Outgoing, host: string): string[] {
  const { request, behindProxy } = outgoing;
  const peer = request.socket.remoteAddress ?? "";
  const believed = (name: string): string | undefined =>
    behindProxy ? valuesOf(request.rawHeaders, name).join(", ") || undefined : undefined;
  const before = believed("x-forwarded-for");
  const scheme = "encrypted" in request.socket ? "https" : "http";
  return [
    "X-Forwarded-For",
    before === undefined ? peer : `${before}, ${peer}`,
    "X-Forwarded-Host",
    believed("x-forwarded-host") ?? host,
    "X-Forwarded-Proto",
    believed("x-forwarded-proto") ?? scheme,
  ];
}

function bodyHeaders({ method = "", rawHeaders }: IncomingMessage): string[] {
  const headers: string[] = [];
  const [length] = valuesOf(rawHeaders, "content-length");
  if (valuesOf(rawHeaders, "transfer-encoding").length > 0)
    headers.push("Transfer-Encoding", "chunked");
  else if (length !== undefined) headers.push("Content-Length", length);
  else if (!withoutBody.has(method)) headers.push("Content-Length", "0");
  if (expectsContinue(rawHeaders)) headers.push("Expect", "100-continue");
  return headers;
}

export function expectsContinue(rawHeaders: RawHeaders): boolean {
  return valuesOf(rawHeaders, "expect").some((value) => value.toLowerCase() === "100-continue");
}

export function hasBody({ rawHeaders }: IncomingMessage): boolean {
  if (valuesOf(rawHeaders, "transfer-encoding").length > 0) return true;
  return valuesOf(rawHeaders, "content-length").some((length) => Number(length) > 0);
}

function lower(text: string): string {
  return text.toLowerCase();
}
