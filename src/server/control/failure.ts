import { type ErrorCode, SandboxError, meanings } from "../../core/errors.ts";
import { LimitReached } from "../../store/limit-reached.ts";
import type { WireError } from "../../wire/control/answers.ts";
import type { Answer } from "./operation.ts";

/** Codes whose mend a tenant can follow, or tell the server's keeper. */
const mendable: ReadonlySet<ErrorCode> = new Set([
  "invalid",
  "unauthenticated",
  "denied",
  "not-found",
  "already-exists",
  "unsupported",
  "exhausted",
  "unavailable",
  "out-of-memory",
  "disk-full",
  "conflict",
]);

/** An error as clients of the control plane take it: the status again in the body. What went wrong inside stays inside. */
export function failureAnswer(cause: unknown, requestId: string): Answer {
  const body = wireErrorOf(cause, `something went wrong; request ${requestId}`);
  return { status: body.code, body, headers: waiting(SandboxError.from(cause)) };
}

/** An error as it stands in a body. `internal` is what is said of one that nobody outside can mend. */
export function wireErrorOf(cause: unknown, internal: string = "something went wrong"): WireError {
  const error = SandboxError.from(cause);
  const said = error.code === "internal" ? internal : error.message;
  const isMendable = error.mend !== undefined && mendable.has(error.code);
  return {
    code: meanings[error.code].http,
    message: isMendable ? `${said} (${error.mend})` : said,
    error_code: error.code,
    ...(error.field === undefined ? {} : { field: error.field }),
    ...(isMendable && error.mend !== undefined ? { mend: error.mend } : {}),
  };
}

/** Seconds until the same call may succeed, where that is known. */
function waiting(error: SandboxError): Record<string, string> {
  if (error instanceof LimitReached)
    return { "retry-after": String(Math.max(1, Math.ceil(error.retryAfterMs / 1000))) };
  return error.code === "exhausted" || error.code === "unavailable" ? { "retry-after": "1" } : {};
}

export function refusal(status: number, message: string): Answer {
  const body: WireError = { code: status, message };
  return { status, body };
}
