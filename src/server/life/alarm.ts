/** Rings once, at a time. */
export interface Alarm {
  /** Rings at this time instead, at once where it is past; `undefined`: not at all. Milliseconds since 1970. */
  set(at: number | undefined): void;
  /** Whether the time it was set to is past. */
  readonly isDue: boolean;
}

/** The longest that a timer of Node's waits. Milliseconds. */
const longestMs = 2_147_483_647;

export function alarm(ring: () => void): Alarm {
  let time: number | undefined;
  let timer: NodeJS.Timeout | undefined;
  const wind = (): void => {
    clearTimeout(timer);
    if (time === undefined) return;
    const waitMs = time - Date.now();
    timer = setTimeout(look, Math.min(Math.max(waitMs, 0), longestMs)).unref();
  };
  const isDue = (): boolean => time !== undefined && time <= Date.now();
  const look = (): void => (isDue() ? ring() : wind());
  return {
    set(at) {
      time = at;
      wind();
    },
    get isDue() {
      return isDue();
    },
  };
}
