import { type ErrorCode, SandboxError, meanings } from "../../core/errors.ts";
import { printable } from "../../wire/connect-errors.ts";
import { type ToldError, toldError } from "../../wire/control/service-answers.ts";

const statuses: Readonly<Record<number, ErrorCode>> = {
  400: "invalid",
  401: "unauthenticated",
  403: "denied",
  404: "not-found",
  408: "timed-out",
  409: "conflict",
  410: "not-found",
  413: "invalid",
  422: "invalid",
  429: "exhausted",
  501: "unsupported",
  502: "unavailable",
  503: "unavailable",
  504: "timed-out",
  507: "exhausted",
};

/** What fields of the wire are called here. */
const ownWords: Readonly<Record<string, string>> = {
  templateID: "template",
  timeout: "lifetimeMs",
  lifetimeMs: "lifetimeMs",
  envVars: "envs",
  allow_internet_access: "egress.allowOut",
  "network.allowOut": "egress.allowOut",
  "network.denyOut": "egress.denyOut",
  driver: "behind",
};

const mends: Partial<Readonly<Record<ErrorCode, string>>> = {
  unauthenticated: "give the service's key as apiKey, or in E2B_API_KEY",
  exhausted: "end sandboxes, or try again later",
  unavailable: "try again later, or see whether the service works",
};

/** The error for an answer of the service that is none of success. Its words are bounded and printable. */
export function serviceFailure(status: number, body: unknown): SandboxError {
  const parsed = toldError.safeParse(body);
  const told = parsed.success ? parsed.data : {};
  const code = codeOf(status, told.error_code);
  const said = printable(saidIn(told) ?? `the service answered ${status}`);
  const field = told.field === undefined ? fieldIn(said) : printable(told.field);
  const mend = told.mend === undefined ? mends[code] : printable(told.mend);
  return new SandboxError(code, said, {
    ...(field === undefined ? {} : { field: wordOf(field) }),
    ...(mend === undefined ? {} : { mend }),
  });
}

/** A server of ours says what mends it again behind its message, for clients that read nothing else. */
function saidIn({ message, mend }: ToldError): string | undefined {
  const again = ` (${mend})`;
  return message?.endsWith(again) === true ? message.slice(0, -again.length) : message;
}

/** A word of our own list, where it agrees with the status, else what the status means. */
function codeOf(status: number, word: string | undefined): ErrorCode {
  if (word !== undefined && isCode(word) && meanings[word].http === status) return word;
  return statuses[status] ?? (status >= 500 ? "unavailable" : "untrusted");
}

function isCode(word: string): word is ErrorCode {
  return Object.hasOwn(meanings, word);
}

/** A message that is about a field begins with it. */
function fieldIn(message: string): string | undefined {
  return /^([A-Za-z][\w.]{0,127}): /.exec(message)?.[1];
}

function wordOf(field: string): string {
  return Object.hasOwn(ownWords, field) ? (ownWords[field] ?? field) : field;
}

/** The error for an answer that is not what the protocol says. */
export function malformedAnswer(what: string, cause?: unknown): SandboxError {
  return new SandboxError("untrusted", `the service sent a malformed ${what}`, { cause });
}

/** The error for a service that could not be asked. */
export function unreachable(origin: string, cause: unknown): SandboxError {
  const reason = cause instanceof Error ? printable(cause.message) : "no answer";
  return new SandboxError("unavailable", `the service at ${origin} cannot be reached: ${reason}`, {
    mend: /\bcertificate\b/.test(reason)
      ? "trust the authority that signed it, with --ca FILE or NODE_EXTRA_CA_CERTS"
      : "see whether the address is right and the service runs",
    cause,
  });
}
