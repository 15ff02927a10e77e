import type { SandboxError } from "../../core/errors.ts";

/** A call of the service's control plane. */
export interface Call {
  readonly method: "GET" | "POST" | "DELETE";
  /** Path and query. */
  readonly path: string;
  readonly body?: unknown;
  readonly signal?: AbortSignal | undefined;
  /** Default: the driver's own. Milliseconds. */
  readonly timeoutMs?: number;
  /** Whether it may be said twice when nobody knows whether it was heard. Default: what is no POST. */
  readonly isRepeatable?: boolean;
  /** Waits for something to happen: does not keep this process alive. */
  readonly waits?: boolean;
}

/** An answer of success. */
export interface ServiceAnswer {
  readonly status: number;
  /** JSON; `undefined`: there was none. */
  readonly body: unknown;
  /** Names the next page. */
  readonly nextToken: string | undefined;
}

/** What came of asking once. */
export type Attempt =
  | { readonly answer: ServiceAnswer }
  | {
      readonly answer: undefined;
      readonly error: SandboxError;
      /** `false`: the service cannot have heard it. */
      readonly wasSent: boolean;
      /** The status of a refusal; `undefined`: there was no answer. */
      readonly status: number | undefined;
      /** How long the service asks to wait. */
      readonly retryAfterMs: number | undefined;
    };
