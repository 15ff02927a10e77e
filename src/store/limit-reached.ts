import { SandboxError } from "../core/errors.ts";
import type { TenantLimits } from "./tenant.ts";

/** A tenant is at one of its limits (`exhausted`). */
export class LimitReached extends SandboxError {
  readonly limit: keyof TenantLimits;
  /** After how long the same call may succeed. Milliseconds. */
  readonly retryAfterMs: number;

  constructor(
    limit: keyof TenantLimits,
    message: string,
    advice: { readonly retryAfterMs: number; readonly mend: string },
  ) {
    super("exhausted", message, { field: `limits.${limit}`, mend: advice.mend });
    this.limit = limit;
    this.retryAfterMs = advice.retryAfterMs;
  }
}
