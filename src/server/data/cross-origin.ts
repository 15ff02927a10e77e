import type { ServerResponse } from "node:http";
import { type Facts, valuesOf } from "./route.ts";

/**
 * Pages of any origin may use the agent's ports: what opens them is a token that only its holder can send, never a
 * cookie, so there is nothing that a foreign page could borrow. Programs of the guest speak for themselves.
 */
export function openTo(facts: Facts): Readonly<Record<string, string>> {
  if (valuesOf(facts.rawHeaders, "origin").length === 0) return {};
  return { "access-control-allow-origin": "*", "access-control-expose-headers": "*" };
}

/** Answers a browser that asks before it sends. */
export function answerPreflight(response: ServerResponse, facts: Facts): void {
  const [asked = ""] = valuesOf(facts.rawHeaders, "access-control-request-headers");
  const headers = /^[a-z0-9_, -]{0,2048}$/i.test(asked) ? asked : "";
  response.writeHead(204, {
    "access-control-allow-origin": "*",
    "access-control-allow-methods": "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS",
    ...(headers === "" ? {} : { "access-control-allow-headers": headers }),
    "access-control-max-age": "7200",
    vary: "access-control-request-headers",
  });
  response.end();
}
