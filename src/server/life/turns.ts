/** Runs one after the other what must not run at once. */
export type InTurn = <T>(work: () => Promise<T>) => Promise<T>;

/** A queue of one. */
export function turns(): InTurn {
  let last: Promise<unknown> = Promise.resolve();
  return (work) => {
    const next = last.then(work, work);
    last = next.catch(() => undefined);
    return next;
  };
}
