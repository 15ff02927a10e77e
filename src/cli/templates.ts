/** A template that is ready on this host. */
export interface ReadyTemplate {
  readonly name: string;
  readonly digest: string;
  readonly sizeBytes: number;
  readonly builtAt: Date;
  /** Whether its recipe has changed since, so that the next build makes it anew. */
  readonly outdated: boolean;
}

export interface BuildOptions {
  readonly signal: AbortSignal;
  /** `fraction` is 0 to 1. */
  readonly onProgress: (stage: string, fraction: number | undefined) => void;
}

/** Templates below a state directory. */
export interface Templates {
  /** Names of the built-in ones. */
  readonly builtin: readonly string[];
  list(): Promise<readonly ReadyTemplate[]>;
  has(name: string): Promise<boolean>;
  /** Makes a built-in template, or finds it made. Throws `not-found`, `unavailable`, `cancelled`. */
  build(name: string, options: BuildOptions): Promise<ReadyTemplate>;
  /** `false`: it is not there. Throws `conflict` while a sandbox uses it. */
  remove(name: string): Promise<boolean>;
}
