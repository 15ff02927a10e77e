import type { Tenant } from "./tenant.ts";

/** What the store knows of an API key; the key itself is not among it. */
export interface ApiKey {
  readonly id: string;
  readonly tenantId: string;
  readonly name: string;
  /** The first characters of the key, to tell keys apart in a list. */
  readonly prefix: string;
  readonly createdAt: string;
  /** Accurate to a minute. `null`: never used. */
  readonly lastUsedAt: string | null;
  /** `null`: it opens the door. */
  readonly revokedAt: string | null;
}

export interface NewApiKey {
  readonly tenantId: string;
  readonly name: string;
}

/** A key that was just made; `secret` is shown here and never again. */
export interface CreatedApiKey {
  readonly key: ApiKey;
  /** `e2b_` and 40 hexadecimal digits. */
  readonly secret: string;
}

export interface Authenticated {
  readonly key: ApiKey;
  readonly tenant: Tenant;
}

export interface ApiKeys {
  /** Throws `not-found` for an unknown tenant. */
  create(key: NewApiKey): Promise<CreatedApiKey>;
  /** Newest first; of every tenant when none is named. */
  list(tenantId?: string): Promise<readonly ApiKey[]>;
  /** Closes the door to the key from now on. Idempotent. Throws `not-found`. */
  revoke(id: string): Promise<ApiKey>;
  /** Whose key this is. Throws `unauthenticated`, without saying whether it is malformed, unknown or revoked. */
  authenticate(secret: string): Promise<Authenticated>;
}
