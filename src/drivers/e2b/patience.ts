import type { Attempt, Call } from "./call.ts";

const maxRetries = 3;
const firstDelayMs = 250;
/** The longest wait that a service may ask for. */
const maxDelayMs = 30_000;
const busyStatuses = new Set([502, 503, 504]);

type Failed = Extract<Attempt, { readonly answer: undefined }>;

/**
 * Whether the same call may succeed later, and does no harm if it was heard before: what the service turned away for its
 * rate was not done, what never left was not heard, and what is repeatable may be done twice.
 */
export function mayComeLater(call: Call, { error, status, wasSent }: Failed): boolean {
  if (error.code === "cancelled" || error.code === "timed-out") return false;
  if (status === 429) return true;
  const isSafe = call.isRepeatable ?? call.method !== "POST";
  if (status !== undefined) return isSafe && busyStatuses.has(status);
  return error.code === "unavailable" && (isSafe || !wasSent);
}

/** How long to wait before each try. */
export interface Patience {
  /** Milliseconds; `undefined`: it is exhausted. `askedMs` is what the service asks for. */
  next(askedMs: number | undefined): number | undefined;
}

/** Patience for as many tries as fit into the time. Milliseconds. */
export function patience(limitMs: number): Patience {
  const until = Date.now() + limitMs;
  let tries = 0;
  return {
    next(askedMs) {
      tries += 1;
      const backOffMs = firstDelayMs * 2 ** (tries - 1) * (0.5 + Math.random());
      const delayMs = Math.max(askedMs ?? 0, backOffMs);
      const isOver = tries > maxRetries || delayMs > maxDelayMs || Date.now() + delayMs > until;
      return isOver ? undefined : delayMs;
    },
  };
}
