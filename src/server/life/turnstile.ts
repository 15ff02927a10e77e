import { SandboxError } from "../../core/errors.ts";
import { cancelled, notAborted } from "../../core/validate.ts";

/** Lets so many in at once; the others wait, those of one tenant not for all of another's. */
export interface Turnstile {
  /**
   * Resolves when it is the caller's turn, which lasts until what it resolves to is disposed. Throws `unavailable` when too
   * many wait, `cancelled` when the signal aborts first.
   */
  enter(tenantId: string, signal: AbortSignal | undefined): Promise<Disposable>;
}

export interface TurnstileOptions {
  /** In at once. */
  readonly places: number;
  /** Waiting at once, of all tenants. */
  readonly waiting: number;
}

interface Waiter {
  readonly admit: () => void;
  hasLeft: boolean;
}

/** One tenant fills at most such a part of the line, so that others find room in it. */
const tenantsPart = 4;

export function turnstile({ places, waiting }: TurnstileOptions): Turnstile {
  const line = new Line();
  let free = places;
  const leave = (): void => {
    const next = line.next();
    if (next === undefined) free += 1;
    else next.admit();
  };
  return {
    async enter(tenantId, signal) {
      notAborted(signal);
      if (free > 0) free -= 1;
      else {
        const most = Math.ceil(waiting / tenantsPart);
        if (line.length >= waiting || line.lengthOf(tenantId) >= most) throw tooMany(line.length);
        await line.wait(tenantId, signal);
      }
      let isOver = false;
      return {
        [Symbol.dispose]() {
          if (!isOver) leave();
          isOver = true;
        },
      };
    },
  };
}

function tooMany(count: number): SandboxError {
  return new SandboxError("unavailable", `${count} sandboxes wait to be made or resumed here`, {
    mend: "try again later",
  });
}

/** Those who wait, by tenant. */
class Line {
  length = 0;
  /** In the order of the tenants' turns. */
  readonly #queues: Map<string, readonly Waiter[]> = new Map();

  wait(tenantId: string, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const waiter: Waiter = {
        hasLeft: false,
        admit() {
          signal?.removeEventListener("abort", giveUp);
          resolve();
        },
      };
      const giveUp = (): void => {
        waiter.hasLeft = true;
        this.length -= 1;
        if (signal !== undefined) reject(cancelled(signal));
      };
      this.length += 1;
      this.#queues.set(tenantId, [...this.#waitersOf(tenantId), waiter]);
      signal?.addEventListener("abort", giveUp, { once: true });
    });
  }

  lengthOf(tenantId: string): number {
    return this.#waitersOf(tenantId).length;
  }

  #waitersOf(tenantId: string): readonly Waiter[] {
    return (this.#queues.get(tenantId) ?? []).filter(({ hasLeft }) => !hasLeft);
  }

  /** The next of the tenant whose turn it is, which is then the last to have one again. */
  next(): Waiter | undefined {
    for (const [tenantId, queue] of this.#queues) {
      const [next, ...others] = queue.filter(({ hasLeft }) => !hasLeft);
      this.#queues.delete(tenantId);
      if (others.length > 0) this.#queues.set(tenantId, others);
      if (next === undefined) continue;
      this.length -= 1;
      return next;
    }
    return undefined;
  }
}
