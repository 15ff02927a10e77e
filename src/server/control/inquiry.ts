import type { LogFacts } from "../log.ts";

/** A request of the control plane beside what its head says. */
export interface Inquiry {
  readonly requestId: string;
  /** The caller's address. */
  readonly from: string | null;
  readonly apiKey: string | undefined;
  /** What stands behind `Authorization: Bearer`. */
  readonly bearer: string | undefined;
  /** Aborts when the caller has gone away. */
  readonly signal: AbortSignal;
  /** Reads the body once; an empty one is `{}`. Throws `invalid`. */
  json(): Promise<unknown>;
  /** Facts for the log. */
  note(facts: LogFacts): void;
}
