/** Calls that say again what was said before: one record stands for those of an hour. */
export interface Repeats {
  /** How many like it went by since the last that was recorded; `undefined`: this one goes by, too. */
  count(likeness: string): number | undefined;
  /** The same of one that is the last of its kind. */
  end(likeness: string): number;
}

interface Counted {
  readonly recordedAt: number;
  unrecorded: number;
}

const hourMs = 3_600_000;

export function repeats(now: () => number = Date.now): Repeats {
  const counted = new Map<string, Counted>();
  const record = (likeness: string): number => {
    const unrecorded = counted.get(likeness)?.unrecorded ?? 0;
    counted.delete(likeness);
    counted.set(likeness, { recordedAt: now(), unrecorded: 0 });
    return unrecorded;
  };
  /** Kinds of which nothing was heard since long before the hour was over. */
  const forget = (): void => {
    for (const [likeness, { recordedAt }] of counted) {
      if (now() - recordedAt < 2 * hourMs) return;
      counted.delete(likeness);
    }
  };
  return {
    count(likeness) {
      forget();
      const known = counted.get(likeness);
      if (known === undefined || now() - known.recordedAt >= hourMs) return record(likeness);
      known.unrecorded += 1;
      return undefined;
    },
    end(likeness) {
      const unrecorded = record(likeness);
      counted.delete(likeness);
      return unrecorded;
    },
  };
}
