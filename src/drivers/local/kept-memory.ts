/** A kernel's memory on this host's disk, as a supervisor describes it. */
export interface KeptMemory {
  readonly directory: string;
  readonly digest: string;
  /** The version of the runtime that wrote it. */
  readonly runtime: string;
  /** What the processor could do. */
  readonly processor: string;
}
