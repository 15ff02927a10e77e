/** Sandboxes that live no longer than somebody says that they are wanted. */
export interface OwnerLeases {
  /** It is wanted for so long from now, unless this is said again. Milliseconds. */
  renew(id: string, leaseMs: number): void;
  /** Forgets them all. */
  stop(): void;
}

/** The key of a machine's metadata that says for how long it is wanted, so that the next server knows as well. */
export const leaseMark = "cofferdam.lease";

/** `over` is called for each sandbox that was not renewed in time, also for one that has ended meanwhile. */
export function ownerLeases(over: (id: string) => void): OwnerLeases {
  const timers = new Map<string, NodeJS.Timeout>();
  return {
    renew(id, leaseMs) {
      clearTimeout(timers.get(id));
      const expire = (): void => {
        timers.delete(id);
        over(id);
      };
      timers.set(id, setTimeout(expire, leaseMs).unref());
    },
    stop() {
      for (const timer of timers.values()) clearTimeout(timer);
      timers.clear();
    },
  };
}

/** What a machine's mark says; `undefined` where nobody must renew it. */
export function markedLease(metadata: Readonly<Record<string, string>>): number | undefined {
  const marked = metadata[leaseMark];
  return marked !== undefined && /^\d{1,9}$/.test(marked) ? Number(marked) : undefined;
}
