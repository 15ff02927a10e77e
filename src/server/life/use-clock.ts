/** Counts uses, and tells when there was none for a while. */
export interface UseClock {
  /** A use begins; what it returns ends it, once. */
  readonly use: () => () => void;
  /** Whether somebody uses it now, or has since this was asked last; `false` where nothing is ever told. */
  readonly wasUsed: () => boolean;
  /** Waits for idleness from now on; the first time for so long, where it is given. Milliseconds. */
  start(firstMs?: number): void;
  /** Waits no more, until it is started again. */
  stop(): void;
}

/** `idleTimeoutMs` 0: nothing is ever told. */
export function useClock(idleTimeoutMs: number, whenIdle: () => void): UseClock {
  let uses = 0;
  let used = false;
  let runs = false;
  let timer: NodeJS.Timeout | undefined;
  const wind = (afterMs: number): void => {
    clearTimeout(timer);
    if (idleTimeoutMs > 0 && uses === 0 && runs) timer = setTimeout(whenIdle, afterMs).unref();
  };
  return {
    use() {
      uses += 1;
      used = true;
      clearTimeout(timer);
      let over = false;
      return () => {
        if (over) return;
        over = true;
        uses -= 1;
        wind(idleTimeoutMs);
      };
    },
    wasUsed() {
      const answer = used && idleTimeoutMs > 0;
      used = uses > 0;
      return answer;
    },
    start(firstMs = idleTimeoutMs) {
      runs = true;
      wind(firstMs);
    },
    stop() {
      runs = false;
      clearTimeout(timer);
    },
  };
}
