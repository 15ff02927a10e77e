/** Counts uses, and tells when there was none for a while. */
export interface UseClock {
  /** A use begins; what it returns ends it, once. */
  readonly use: () => () => void;
  stop(): void;
}

/** `idleTimeoutMs` 0: nothing is ever told. */
export function useClock(idleTimeoutMs: number, whenIdle: () => void): UseClock {
  let uses = 0;
  let stopped = false;
  let timer: NodeJS.Timeout | undefined;
  const wind = (): void => {
    clearTimeout(timer);
    if (idleTimeoutMs > 0 && uses === 0 && !stopped)
      timer = setTimeout(whenIdle, idleTimeoutMs).unref();
  };
  wind();
  return {
    use() {
      uses += 1;
      clearTimeout(timer);
      let over = false;
      return () => {
        if (over) return;
        over = true;
        uses -= 1;
        wind();
      };
    },
    stop() {
      stopped = true;
      clearTimeout(timer);
    },
  };
}
