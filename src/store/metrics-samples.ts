/** One reading of what a sandbox used. */
export interface MetricsSample {
  readonly sandboxId: string;
  /** RFC 3339. */
  readonly at: string;
  readonly cpuCount: number;
  /** 0 to 100 per core, summed. */
  readonly cpuUsedPercent: number;
  readonly memoryUsedBytes: number;
  readonly memoryTotalBytes: number;
  readonly memoryCacheBytes: number;
  readonly diskUsedBytes: number;
  readonly diskTotalBytes: number;
}

export interface MetricsSamples {
  /** Writes samples of any sandboxes in one step; of each sandbox the newest `samplesPerSandbox` are kept. */
  append(samples: readonly MetricsSample[]): Promise<void>;
  /** Oldest first, both ends included; the newest `limit` (default and at most 10,000) of them. */
  between(
    sandboxId: string,
    range?: { readonly since?: string; readonly until?: string; readonly limit?: number },
  ): Promise<readonly MetricsSample[]>;
  /** The newest sample of each of at most 1,000 sandboxes that has one. */
  latest(sandboxIds: readonly string[]): Promise<ReadonlyMap<string, MetricsSample>>;
}

/** Six hours of samples five seconds apart, three days of samples a minute apart; half a mebibyte on the disk. */
export const samplesPerSandbox = 4_320;
