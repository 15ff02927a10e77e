/** What happened: who did what to which sandbox, from where, and how it ended. */
export interface AuditEntry {
  /** `null`: nobody's; the server's own doing, or a caller that was not let in. */
  readonly tenantId: string | null;
  /** An API key's id, `server`, `cli`, `anonymous`. */
  readonly actor: string;
  /** Area and verb: `sandbox.create`, `key.revoke`, `machine.ended`. */
  readonly action: string;
  readonly sandboxId: string | null;
  /** Network address of the caller. */
  readonly from: string | null;
  /** `ok`, an error code, or an end reason. */
  readonly result: string;
  /** More facts, never a secret. Values are text, so that their bytes are the same wherever they are read. */
  readonly details: Readonly<Record<string, string>>;
}

/** An entry with its place in the chain. */
export interface AuditRecord extends AuditEntry {
  /** From 1, without a gap. */
  readonly seq: number;
  /** RFC 3339. */
  readonly at: string;
  /** `hash` of the record before; 64 zeros for the first. */
  readonly previous: string;
  /** SHA-256, in hexadecimal, over `previous`, a line feed and the canonical JSON of everything else. */
  readonly hash: string;
}

/** The end of the chain. Kept elsewhere, it proves later that nothing before it was changed and nothing cut off. */
export interface AuditHead {
  readonly seq: number;
  readonly hash: string;
}

export interface AuditQuery {
  readonly tenantId?: string;
  readonly sandboxId?: string;
  readonly action?: string;
  /** Of any action but these. */
  readonly actionsBut?: readonly string[];
  readonly result?: string;
  /** RFC 3339, included. */
  readonly since?: string;
  /** RFC 3339, excluded. */
  readonly until?: string;
  /** 1 to 1,000; default 100. */
  readonly limit?: number;
  /** `nextToken` of the page before. */
  readonly token?: string;
}

export type AuditFault = "changed" | "removed" | "inserted" | "reordered" | "truncated";

export type AuditVerdict =
  | { readonly ok: true; readonly head: AuditHead }
  /** `seq` is the first record, or place, that is wrong. */
  | {
      readonly ok: false;
      readonly fault: AuditFault;
      readonly seq: number;
      readonly reason: string;
    };

export interface VerifyOptions {
  /** A head that was kept elsewhere; the chain must pass through it. */
  readonly expected?: AuditHead;
  /** Told after each batch: records verified, and how many there are. */
  readonly onProgress?: (verified: number, total: number) => void;
  readonly signal?: AbortSignal;
}
