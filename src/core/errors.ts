/** What a caller can act on: a closed list. `meanings` says what each one is to HTTP, Connect, the shell and a retry. */
export type ErrorCode =
  | "invalid"
  | "unauthenticated"
  | "denied"
  | "not-found"
  | "already-exists"
  | "conflict"
  | "unsupported"
  | "timed-out"
  | "cancelled"
  | "out-of-memory"
  | "disk-full"
  | "exhausted"
  | "unavailable"
  | "lost"
  | "untrusted"
  | "exited"
  | "internal";

export interface ErrorMeaning {
  /** HTTP status. */
  readonly http: number;
  /** Connect code, as it stands on the wire. */
  readonly connect: string;
  /** Exit code of the command line, after sysexits.h where it has one. */
  readonly exit: number;
  /** Whether the same call may succeed later. */
  readonly retry: boolean;
}

/** Every code, everywhere it surfaces. A new code does not compile until it has a row. */
export const meanings: Readonly<Record<ErrorCode, ErrorMeaning>> = {
  invalid: { http: 400, connect: "invalid_argument", exit: 64, retry: false },
  unauthenticated: { http: 401, connect: "unauthenticated", exit: 77, retry: false },
  denied: { http: 403, connect: "permission_denied", exit: 77, retry: false },
  "not-found": { http: 404, connect: "not_found", exit: 66, retry: false },
  "already-exists": { http: 409, connect: "already_exists", exit: 73, retry: false },
  conflict: { http: 409, connect: "failed_precondition", exit: 73, retry: false },
  unsupported: { http: 501, connect: "unimplemented", exit: 69, retry: false },
  "timed-out": { http: 504, connect: "deadline_exceeded", exit: 124, retry: true },
  cancelled: { http: 499, connect: "canceled", exit: 130, retry: true },
  "out-of-memory": { http: 507, connect: "resource_exhausted", exit: 137, retry: false },
  "disk-full": { http: 507, connect: "resource_exhausted", exit: 73, retry: false },
  exhausted: { http: 429, connect: "resource_exhausted", exit: 75, retry: true },
  unavailable: { http: 503, connect: "unavailable", exit: 69, retry: true },
  lost: { http: 502, connect: "unavailable", exit: 69, retry: false },
  untrusted: { http: 502, connect: "data_loss", exit: 76, retry: false },
  exited: { http: 422, connect: "aborted", exit: 1, retry: false },
  internal: { http: 500, connect: "internal", exit: 70, retry: false },
};

export interface ErrorDetails {
  /** The option or field that is wrong, as the caller spells it: `resources.memoryMiB`. */
  readonly field?: string;
  /** What mends it, as an instruction: "install runsc from backports". */
  readonly mend?: string;
  /** What caused it; kept for the log, never shown to a tenant. */
  readonly cause?: unknown;
}

/**
 * The one error that leaves this library.
 *
 * `code` is one of a closed list; `field` names the option that is wrong and `mend` what helps, where they are known.
 */
export class SandboxError extends Error {
  override readonly name = "SandboxError";
  readonly code: ErrorCode;
  readonly field: string | undefined;
  readonly mend: string | undefined;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.field = details.field;
    this.mend = details.mend;
  }

  /** Any thrown value as a SandboxError; an existing one is returned untouched. */
  static from(cause: unknown, message = "unexpected failure"): SandboxError {
    if (cause instanceof SandboxError) return cause;
    const detail = cause instanceof Error ? `: ${cause.message}` : "";
    return new SandboxError("internal", `${message}${detail}`, { cause });
  }
}
