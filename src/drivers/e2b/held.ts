import { setTimeout as sleep } from "node:timers/promises";
import type { EndReason } from "../../core/driver.ts";
import { SandboxError } from "../../core/errors.ts";
import { type ToldSandbox, ownSandbox } from "../../wire/control/service-answers.ts";
import type { Api } from "./api.ts";
import { isGone, killSandbox } from "./calls.ts";
import { setLifetime } from "./cofferdam-lifetime.ts";
import { reasonOf } from "./end-reason.ts";
import { type Ending, ending, oneAtATime, rest } from "./ending.ts";
import type { Keeper } from "./service.ts";

/** How long a question about the end waits where nobody must renew a lease. Milliseconds. */
const guestWaitMs = 60_000;
/** How long a sandbox that somebody else ends may take to be gone. Milliseconds. */
const endingMs = 20_000;
/** How long a sandbox that has ended may take to be told as such. Milliseconds. */
const closingMs = 100;
const shortestRestMs = 1000;
const longestRestMs = 10_000;
const pausedRestMs = 5000;

const noUses = { begin: () => (): void => undefined };

/**
 * Looks after a sandbox of a server of ours, which keeps lifetime and idle time-out itself. `leaseMs`: it is this process's
 * own, and ends when this process has not held it for so long.
 */
export function heldSandbox(api: Api, id: string, leaseMs: number | undefined): Keeper {
  const over = ending();
  void hold(api, over, { id, leaseMs });
  return {
    ended: over.ended,
    uses: noUses,
    completed: (told) => told,
    setLifetime: (lifetimeMs) => setLifetime(api, id, lifetimeMs),
    kill: oneAtATime(async () => {
      if (over.signal.aborted) return;
      const wasThere = await killSandbox(api, id);
      over.end(wasThere ? "killed" : await reasonFor(api, id));
    }),
  };
}

interface Held {
  readonly id: string;
  readonly leaseMs: number | undefined;
}

/** Asks again and again until the sandbox has ended. Never rejects. */
async function hold(api: Api, over: Ending, { id, leaseMs }: Held): Promise<void> {
  const waitMs = leaseMs === undefined ? guestWaitMs : Math.floor(leaseMs / 2);
  const body = { waitMs, ...(leaseMs === undefined ? {} : { leaseMs }) };
  let failures = 0;
  let heardAt = Date.now();
  while (!over.signal.aborted) {
    const askedAt = Date.now();
    try {
      const told = await askToHold(api, over.signal, { id, body, waitMs });
      if (told.state === "ended") return over.end(reasonOf(told));
      failures = 0;
      heardAt = Date.now();
      if (told.state === "paused") await rest(pausedRestMs, over.signal);
      else if (heardAt - askedAt < waitMs / 2) await rest(shortestRestMs, over.signal);
    } catch (cause) {
      if (isGone(cause)) return over.end("runtime-lost");
      if (leaseMs !== undefined && Date.now() - heardAt > 2 * leaseMs)
        return over.end("runtime-lost");
      failures += 1;
      await rest(Math.min(shortestRestMs * 2 ** failures, longestRestMs), over.signal);
    }
  }
}

interface Question {
  readonly id: string;
  readonly body: unknown;
  readonly waitMs: number;
}

function askToHold(
  api: Api,
  signal: AbortSignal,
  { id, body, waitMs }: Question,
): Promise<ToldSandbox> {
  const call = {
    method: "POST",
    path: `/cofferdam/v1/sandboxes/${id}/hold`,
    body,
    signal,
    timeoutMs: waitMs + longestRestMs,
    isRepeatable: true,
    waits: true,
  } as const;
  return api.read(call, ownSandbox, "sandbox");
}

/** Why a sandbox is gone, or is about to be: then it is waited for. */
async function reasonFor(api: Api, id: string): Promise<EndReason> {
  const until = Date.now() + endingMs;
  const path = `/cofferdam/v1/sandboxes/${id}/hold`;
  const call = { method: "POST", path, body: { waitMs: endingMs }, isRepeatable: true } as const;
  try {
    for (;;) {
      const told = await api.read(call, ownSandbox, "sandbox");
      if (told.state === "ended" || Date.now() > until) return reasonOf(told);
      await sleep(closingMs);
    }
  } catch (cause) {
    if (SandboxError.from(cause).code === "not-found") return "runtime-lost";
    throw cause;
  }
}
