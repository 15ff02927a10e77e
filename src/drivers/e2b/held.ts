import { setTimeout as sleep } from "node:timers/promises";
import type { EndReason } from "../../core/driver.ts";
import { SandboxError } from "../../core/errors.ts";
import type { OwnResume } from "../../wire/control/new-sandbox.ts";
import { type ToldSandbox, ownSandbox } from "../../wire/control/service-answers.ts";
import type { Api } from "./api.ts";
import { findOwn, isGone, killSandbox, pauseSandbox } from "./calls.ts";
import { setLifetime } from "./cofferdam-lifetime.ts";
import { reasonOf } from "./end-reason.ts";
import { type Ending, ending, oneAtATime, rest } from "./ending.ts";
import { type Place, placeOf } from "./place.ts";
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

interface Found {
  readonly state: ToldSandbox["state"];
  /** Within which this process, whose own it is, must hold it; `undefined`: it is somebody else's. */
  readonly leaseMs: number | undefined;
}

/** Looks after a sandbox of a server of ours, which keeps lifetime and idle time-out itself. */
export function heldSandbox(api: Api, id: string, { state, leaseMs }: Found): Keeper {
  const over = ending();
  const place = placeOf({ id, ended: over.ended, state, find: () => findOwn(api, id) });
  const holding: Holding = { id, over, place, leaseMs, turn: new AbortController() };
  void hold(api, holding);
  return {
    place,
    uses: noUses,
    completed: (told) => told,
    setLifetime: (lifetimeMs) => setLifetime(api, id, lifetimeMs),
    async pause(kept) {
      await pauseSandbox(api, id, kept);
      place.hear("paused");
    },
    async resume(lifetimeMs, from) {
      const told = await resume(api, id, { lifetimeMs, memory: from === "memory" });
      place.hear(told.state);
      if (told.leaseMs !== undefined) own(holding, told.leaseMs);
    },
    kill: oneAtATime(async () => {
      if (over.signal.aborted) return;
      const wasThere = await killSandbox(api, id);
      over.end(wasThere ? "killed" : await reasonFor(api, id));
    }),
  };
}

interface Holding {
  readonly id: string;
  readonly over: Ending;
  readonly place: Place;
  leaseMs: number | undefined;
  /** Aborts when what is asked for has changed. */
  turn: AbortController;
}

/** Holds it from now on: whoever resumes a sandbox that is not detached owns it. */
function own(holding: Holding, leaseMs: number): void {
  if (holding.leaseMs !== undefined) return;
  const { turn } = holding;
  holding.leaseMs = leaseMs;
  holding.turn = new AbortController();
  turn.abort();
}

function resume(api: Api, id: string, body: OwnResume): Promise<ToldSandbox> {
  const path = `/cofferdam/v1/sandboxes/${id}/resume`;
  return api.read({ method: "POST", path, body }, ownSandbox, "sandbox");
}

/** Asks again and again until the sandbox has ended. Never rejects. */
async function hold(api: Api, holding: Holding): Promise<void> {
  const { over, place } = holding;
  let failures = 0;
  let heardAt = Date.now();
  while (!over.signal.aborted) {
    const { leaseMs, turn } = holding;
    const signal = AbortSignal.any([over.signal, turn.signal]);
    const waitMs = leaseMs === undefined ? guestWaitMs : Math.floor(leaseMs / 2);
    const askedAt = Date.now();
    try {
      const told = await askToHold(api, signal, { id: holding.id, leaseMs, waitMs });
      if (told.state === "ended") return over.end(reasonOf(told));
      failures = 0;
      heardAt = Date.now();
      place.hear(told.state);
      if (told.state === "paused") await rest(pausedRestMs, signal);
      else if (heardAt - askedAt < waitMs / 2) await rest(shortestRestMs, signal);
    } catch (cause) {
      if (turn.signal.aborted) continue;
      if (isGone(cause)) return over.end("runtime-lost");
      if (leaseMs !== undefined && Date.now() - heardAt > 2 * leaseMs)
        return over.end("runtime-lost");
      failures += 1;
      await rest(Math.min(shortestRestMs * 2 ** failures, longestRestMs), signal);
    }
  }
}

interface Question {
  readonly id: string;
  readonly leaseMs: number | undefined;
  readonly waitMs: number;
}

function askToHold(
  api: Api,
  signal: AbortSignal,
  { id, leaseMs, waitMs }: Question,
): Promise<ToldSandbox> {
  const call = {
    method: "POST",
    path: `/cofferdam/v1/sandboxes/${id}/hold`,
    body: { waitMs, ...(leaseMs === undefined ? {} : { leaseMs }) },
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
