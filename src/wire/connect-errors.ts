import { type ErrorCode, SandboxError, meanings } from "../core/errors.ts";
import { type Fields, isFields, ownField } from "./json.ts";

const maxMessageLength = 4096;

/** Connect's codes that stand for one of ours, where the table of meanings has several or none for it. */
const preferred: Readonly<Record<string, ErrorCode>> = {
  canceled: "cancelled",
  invalid_argument: "invalid",
  deadline_exceeded: "timed-out",
  not_found: "not-found",
  already_exists: "already-exists",
  permission_denied: "denied",
  resource_exhausted: "exhausted",
  failed_precondition: "conflict",
  aborted: "conflict",
  out_of_range: "invalid",
  unimplemented: "unsupported",
  unavailable: "unavailable",
  data_loss: "untrusted",
  unauthenticated: "unauthenticated",
};

/** Our code for a code on the wire, Connect's or our own; `internal` for one that nobody knows. */
export function errorCodeOf(code: unknown): ErrorCode {
  if (typeof code !== "string") return "internal";
  if (Object.hasOwn(preferred, code)) return preferred[code] ?? "internal";
  return isErrorCode(code) ? code : "internal";
}

/** What a guest calls its error; a word that nobody knows is not to be trusted. */
function wireCodeOf(code: string): ErrorCode {
  if (Object.hasOwn(preferred, code)) return preferred[code] ?? "untrusted";
  return isErrorCode(code) || code === "unknown" ? errorCodeOf(code) : "untrusted";
}

/** An error body, Connect's or envd's (`{code, message}`), as a SandboxError. Anything else becomes `untrusted`. */
export function parseConnectError(value: unknown, httpStatus?: number): SandboxError {
  const fields: Fields = isFields(value) ? value : {};
  const written = ownField(fields, "code");
  const code = typeof written === "string" ? wireCodeOf(written) : errorCodeOfStatus(httpStatus);
  const message = ownField(fields, "message");
  const text =
    typeof message === "string" && message !== ""
      ? printable(message)
      : `the sandbox answered ${code}`;
  return new SandboxError(code, text);
}

/** The error body for a SandboxError. */
export function connectErrorBody(error: SandboxError): {
  readonly code: string;
  readonly message: string;
} {
  return { code: meanings[error.code].connect, message: error.message };
}

const statuses: Readonly<Record<number, ErrorCode>> = {
  400: "invalid",
  401: "unauthenticated",
  403: "denied",
  404: "not-found",
  406: "invalid",
  408: "timed-out",
  409: "conflict",
  413: "exhausted",
  416: "invalid",
  429: "exhausted",
  499: "cancelled",
  500: "internal",
  501: "unsupported",
  502: "lost",
  503: "unavailable",
  504: "timed-out",
  507: "disk-full",
};

/** Our code for an HTTP status without a better word in the body. */
function errorCodeOfStatus(httpStatus: number | undefined): ErrorCode {
  return (httpStatus === undefined ? undefined : statuses[httpStatus]) ?? "untrusted";
}

/** Text from a guest as it may stand in a message or a log: bounded, without control characters and without what turns its direction. */
export function printable(text: string): string {
  return text
    .slice(0, maxMessageLength)
    .replace(/(?![\t\n])[\p{Cc}\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu, "\uFFFD");
}

function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(meanings, code);
}
