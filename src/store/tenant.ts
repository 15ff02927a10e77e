/** What one tenant may use at once. */
export interface TenantLimits {
  /** Sandboxes that are not paused and not ended. */
  readonly maxSandboxes: number;
  /** Cores of all of those together. */
  readonly maxCpus: number;
  /** Memory of all of those together, and of paused ones that kept it. MiB. */
  readonly maxMemoryMiB: number;
  /** Paused sandboxes and snapshots together, beyond the places that sandboxes leave free. */
  readonly maxKept: number;
  /** Longest lifetime that a sandbox may ask for; judged by whoever sets it, not by the store. Milliseconds. */
  readonly maxLifetimeMs: number;
  readonly createsPerMinute: number;
}

/** Who owns sandboxes, keys, snapshots and templates, and sees nobody else's. */
export interface Tenant {
  readonly id: string;
  /** Unique in the store. */
  readonly name: string;
  readonly limits: TenantLimits;
  readonly createdAt: string;
}

export interface NewTenant {
  readonly name: string;
  /** Limits that are not given are the store's defaults. */
  readonly limits?: Partial<TenantLimits>;
}

export interface Tenants {
  /** Throws `already-exists` for a name that is taken. */
  create(tenant: NewTenant): Promise<Tenant>;
  /** Throws `not-found`. */
  get(id: string): Promise<Tenant>;
  /** `undefined`: no tenant has the name. */
  named(name: string): Promise<Tenant | undefined>;
  /** By name. */
  list(): Promise<readonly Tenant[]>;
  /** Changes the given limits alone. Throws `not-found`. */
  setLimits(id: string, limits: Partial<TenantLimits>): Promise<Tenant>;
}
