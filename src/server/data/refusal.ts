import type { ServerResponse } from "node:http";
import { SandboxError, meanings } from "../../core/errors.ts";

/** An answer of the proxy itself. */
export interface Refusal {
  readonly status: number;
  readonly body: Readonly<Record<string, string | number>>;
  readonly headers?: Readonly<Record<string, string>>;
}

export function refusal(status: number, message: string): Refusal {
  return { status, body: { code: status, message } };
}

/** The sandbox is gone, or was never there. */
export function notFound(sandboxId: string): Refusal {
  return { status: 502, body: { sandboxId, message: "The sandbox was not found", code: 502 } };
}

/** Nobody listens on the port. */
export function portClosed(sandboxId: string, port: number): Refusal {
  const message = "The sandbox is running but port is not open";
  return { status: 502, body: { sandboxId, message, port, code: 502 } };
}

/** Something was reached that did not answer as it should. */
export function badAnswer(sandboxId: string, message: string): Refusal {
  return { status: 502, body: { sandboxId, message, code: 502 } };
}

export function trafficRefused(sandboxId: string): Refusal {
  const message = "The header 'e2b-traffic-access-token' is missing or does not match";
  return { status: 403, body: { sandboxId, message, code: 403 } };
}

export function tooMany(sandboxId: string): Refusal {
  const message = "The sandbox has too many connections";
  return {
    status: 429,
    body: { sandboxId, message, code: 429 },
    headers: { "retry-after": "1" },
  };
}

/** What a failed look-up of a sandbox means to its visitor; the cause stays here. */
export function lookupFailed(sandboxId: string, cause: unknown): Refusal {
  const { code, message } = SandboxError.from(cause);
  if (code === "not-found" || code === "lost") return notFound(sandboxId);
  const status = meanings[code].http;
  const told = code === "internal" ? "The sandbox could not be looked up" : message;
  return { status, body: { sandboxId, message: told, code: status } };
}

/** Writes a refusal. Answers nothing where an answer has begun. */
export function refuse(
  response: ServerResponse,
  { status, body, headers }: Refusal,
  more: Readonly<Record<string, string>> = {},
): void {
  if (response.headersSent || response.destroyed) return;
  const text = JSON.stringify(body);
  response.writeHead(status, {
    "content-type": "application/json",
    "content-length": Buffer.byteLength(text),
    "x-content-type-options": "nosniff",
    ...headers,
    ...more,
  });
  response.end(text);
}
