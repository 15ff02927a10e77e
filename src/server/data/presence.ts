import { type Pool, type Way, openPool } from "./connections.ts";
import type { Target } from "./target.ts";

/** Something under way at a sandbox. */
export interface Stay {
  readonly way: Way;
  /** Over, however it went. Idempotent. */
  readonly leave: () => void;
}

interface Presence {
  readonly pool: Pool;
  readonly reachKey: unknown;
  readonly signal: AbortSignal;
  readonly evictions: Set<() => void>;
  /** Whether another took its place; it closes with its last stay. */
  replaced: boolean;
}

/** Who is at which sandbox, so that the end of one ends all that is under way there. */
export interface Presences {
  /** Joins; `evict` is called when the sandbox ends before `leave`. `undefined`: there are too many. */
  enter(target: Target, port: number, evict: () => void): Stay | undefined;
  close(): void;
}

export interface PresenceLimits {
  readonly connectTimeoutMs: number;
  readonly maxPerSandbox: number;
  readonly maxTotal: number;
}

export function presences(limits: PresenceLimits): Presences {
  const known = new Map<string, Presence>();
  let total = 0;

  function end(id: string, presence: Presence): void {
    if (known.get(id) === presence) known.delete(id);
    for (const evict of presence.evictions) evict();
    presence.pool.close();
  }

  function presenceOf(target: Target): Presence {
    const { id, reach, onEnd } = target;
    const reachKey = reach.kind === "socket" ? reach.path : reach.url;
    const before = known.get(id);
    if (before?.reachKey === reachKey && before.signal === onEnd) return before;
    if (before !== undefined) {
      before.replaced = true;
      if (before.evictions.size === 0) before.pool.close();
    }
    const pool = openPool(target, limits.connectTimeoutMs);
    const presence = {
      pool,
      reachKey,
      signal: onEnd,
      evictions: new Set<() => void>(),
      replaced: false,
    };
    known.set(id, presence);
    onEnd.addEventListener("abort", () => end(id, presence), { once: true });
    return presence;
  }

  return {
    enter(target, port, evict) {
      const presence = presenceOf(target);
      if (total >= limits.maxTotal || presence.evictions.size >= limits.maxPerSandbox)
        return undefined;
      const leaveUse = target.touch();
      const eviction = (): void => evict();
      presence.evictions.add(eviction);
      total += 1;
      return {
        way: presence.pool.way(port),
        leave() {
          if (!presence.evictions.delete(eviction)) return;
          total -= 1;
          leaveUse();
          if (presence.replaced && presence.evictions.size === 0) presence.pool.close();
        },
      };
    },
    close() {
      for (const [id, presence] of known) end(id, presence);
    },
  };
}
