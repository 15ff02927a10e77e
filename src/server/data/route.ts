import type { IncomingMessage } from "node:http";
import { readHost, readPort, readSandboxId } from "./host-name.ts";
import { asksForSignature } from "./signed-url.ts";

/** Where a request goes. */
export type Route =
  /** Not the data plane's. */
  | { readonly kind: "elsewhere" }
  | { readonly kind: "refused"; readonly message: string }
  | {
      readonly kind: "sandbox";
      readonly id: string;
      readonly port: number;
      /** What named the sandbox. */
      readonly by: "host" | "headers" | "signature";
    }
  /** A signed file address that does not say whose. */
  | { readonly kind: "signed" }
  /** A browser asks whether it may send routing headers. */
  | { readonly kind: "preflight" };

/** What of a request decides its way. */
export interface Facts {
  readonly method: string;
  /** The request's target as it came. */
  readonly target: string;
  readonly httpVersion: string;
  /** Names and values in turn, as they came. */
  readonly rawHeaders: readonly string[];
}

export function factsOf(request: IncomingMessage): Facts {
  const { method = "", url = "", httpVersion, rawHeaders } = request;
  return { method, target: url, httpVersion, rawHeaders };
}

/** Every value of a header, as it came. */
export function valuesOf(rawHeaders: readonly string[], name: string): readonly string[] {
  const values: string[] = [];
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    const key = rawHeaders[index];
    if (key?.length === name.length && key.toLowerCase() === name)
      values.push(rawHeaders[index + 1] ?? "");
  }
  return values;
}

/** The way of a request; pure. */
export function routeOf(facts: Facts, domainName: string): Route {
  const hosts = valuesOf(facts.rawHeaders, "host");
  if (hosts.length > 1) return refused("more than one Host");
  const [host] = hosts;
  if (host === undefined) return { kind: "elsewhere" };
  const name = readHost(host, domainName);
  switch (name.kind) {
    case "malformed":
      return refused("the Host is malformed");
    case "other":
      return { kind: "elsewhere" };
    case "sandbox":
      return wellFramed(facts, { ...name, by: "host" });
    case "steered":
      return byHeaders(facts, name.shared);
    default:
      return name satisfies never;
  }
}

function byHeaders(facts: Facts, shared: boolean): Route {
  const ids = valuesOf(facts.rawHeaders, "e2b-sandbox-id");
  const ports = valuesOf(facts.rawHeaders, "e2b-sandbox-port");
  if (ids.length > 1 || ports.length > 1) return refused("more than one sandbox is named");
  if (ids.length === 0 && ports.length === 0) return withoutHeaders(facts, shared);
  const id = readSandboxId(ids[0]);
  const port = readPort(ports[0]);
  if (id === undefined) return refused("E2b-Sandbox-Id is missing or malformed");
  if (port === undefined) return refused("E2b-Sandbox-Port is missing or malformed");
  return wellFramed(facts, { kind: "sandbox", id, port, by: "headers" });
}

function withoutHeaders(facts: Facts, shared: boolean): Route {
  if (isPreflight(facts) && (asksForSignature(facts.target) || announcesRouting(facts)))
    return { kind: "preflight" };
  if (asksForSignature(facts.target)) return wellFramed(facts, { kind: "signed" });
  return shared ? refused("E2b-Sandbox-Id is missing") : { kind: "elsewhere" };
}

/** Whether a browser asks before a request across origins. */
export function isPreflight({ method, rawHeaders }: Facts): boolean {
  return (
    method === "OPTIONS" &&
    valuesOf(rawHeaders, "origin").length === 1 &&
    valuesOf(rawHeaders, "access-control-request-method").length === 1
  );
}

function announcesRouting({ rawHeaders }: Facts): boolean {
  return valuesOf(rawHeaders, "access-control-request-headers").some((value) =>
    value.split(",").some((name) => name.trim().toLowerCase() === "e2b-sandbox-id"),
  );
}

/** Refuses what two servers could read as two different requests. */
function wellFramed(facts: Facts, route: Route): Route {
  const codings = valuesOf(facts.rawHeaders, "transfer-encoding");
  const lengths = valuesOf(facts.rawHeaders, "content-length");
  if (facts.httpVersion !== "1.1" && facts.httpVersion !== "1.0")
    return refused("only HTTP/1.1 and HTTP/1.0 are spoken");
  if (!/^\/[\u0021-\u007e]*$/.test(facts.target))
    return refused("the request's target is malformed");
  if (lengths.length > 1 || lengths.some((length) => !/^\d{1,15}$/.test(length)))
    return refused("the Content-Length is malformed");
  if (codings.length === 0) return route;
  const chunked = codings.length === 1 && codings[0]?.toLowerCase() === "chunked";
  if (!chunked || lengths.length > 0 || facts.httpVersion === "1.0")
    return refused("the Transfer-Encoding is malformed");
  return route;
}

function refused(message: string): Route {
  return { kind: "refused", message };
}
