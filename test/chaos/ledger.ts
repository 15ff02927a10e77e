/** What a client was told of a sandbox that it made. */
export interface Promised {
  readonly id: string;
  readonly driver: string;
  /** Of the command that counts in the background, once its start was answered. */
  pid: number | undefined;
  token: string | undefined;
  /** Whether somebody uses it now. */
  isInUse: boolean;
}

/** What the server owes: sandboxes whose creation was answered and whose end nobody asked for. */
export interface Ledger {
  readonly promised: Map<string, Promised>;
  /** May live or not: asked to end without an answer, or robbed of a process. */
  readonly doubtful: Set<string>;
  /** Creations without an answer: so many sandboxes may exist that nobody was told of. */
  unanswered: number;
  readonly counts: Record<"created" | "used" | "killed" | "paused" | "refused", number>;
  /** What went wrong although the server was there. */
  readonly complaints: string[];
}

export function ledger(): Ledger {
  return {
    promised: new Map(),
    doubtful: new Set(),
    unanswered: 0,
    counts: { created: 0, used: 0, killed: 0, paused: 0, refused: 0 },
    complaints: [],
  };
}
