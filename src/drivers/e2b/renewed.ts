import { SandboxError } from "../../core/errors.ts";
import type { Kept } from "../../core/kept.ts";
import type { Lease } from "../../core/spec.ts";
import { uses } from "../../guest/uses.ts";
import type { ToldSandbox } from "../../wire/control/service-answers.ts";
import type { Api } from "./api.ts";
import type { ServiceAnswer } from "./call.ts";
import { findSandbox, isGone, killSandbox, pauseSandbox } from "./calls.ts";
import { type Ending, ending, oneAtATime, rest } from "./ending.ts";
import { type Place, placeOf } from "./place.ts";
import type { Keeper } from "./service.ts";

/** How often a sandbox of others is looked at. Milliseconds. */
const lookMs = 20_000;
/** The longest time that a timer measures. */
const longestTimerMs = 2_147_483_647;

interface Ownership {
  readonly state: ToldSandbox["state"];
  /** `undefined`: it is somebody else's. */
  readonly lease: Lease | undefined;
  readonly leaseMs: number;
}

/**
 * Looks after a sandbox of a service that knows time-outs alone.
 *
 * One that is this process's own and not detached has a short time-out there, which is renewed while this process lives; its
 * lifetime and idle time-out are kept here.
 */
export function renewedSandbox(api: Api, id: string, { state, lease, leaseMs }: Ownership): Keeper {
  const over = ending();
  const place = placeOf({ id, ended: over.ended, state, find: () => findSandbox(api, id) });
  const sandbox: Sandbox = { api, id, over, place, leaseMs };
  if (lease === undefined || lease.detached) {
    void follow(sandbox, lookMs, () => place.look());
    return {
      ...common(sandbox),
      uses: noUses,
      completed: (told) => told,
      resume: (lifetimeMs, from) => resume(sandbox, lifetimeMs, from),
    };
  }
  void follow(sandbox, Math.floor(leaseMs / 3), () =>
    place.isPaused ? place.look() : renew(sandbox),
  );
  const lifetime = deadline(over, lease.lifetimeMs, () => endNow(sandbox));
  const idle = idleClock(sandbox, lease.idleTimeoutMs);
  const usual = common(sandbox);
  return {
    ...usual,
    async pause(kept) {
      await usual.pause(kept);
      lifetime.stop();
      idle.setBusy(true);
    },
    async resume(lifetimeMs, from) {
      await resume(sandbox, Math.min(lifetimeMs, leaseMs), from);
      lifetime.set(lifetimeMs);
      idle.setBusy(false);
    },
    uses: uses({ setBusy: idle.setBusy }),
    completed: (told): ToldSandbox => ({
      ...told,
      endAt: new Date(lifetime.at()),
      idleTimeoutMs: lease.idleTimeoutMs,
    }),
    async setLifetime(lifetimeMs) {
      if (over.signal.aborted) throw new SandboxError("lost", `the sandbox ${id} has ended`);
      await place.admit();
      requireTime(lifetimeMs);
      lifetime.set(lifetimeMs);
    },
  };
}

interface Sandbox {
  readonly api: Api;
  readonly id: string;
  readonly over: Ending;
  readonly place: Place;
  readonly leaseMs: number;
}

const noUses = { begin: () => (): void => undefined };

function common({
  api,
  id,
  over,
  place,
}: Sandbox): Pick<Keeper, "place" | "kill" | "pause" | "setLifetime"> {
  return {
    place,
    async pause(kept) {
      await pauseSandbox(api, id, kept);
      place.hear("paused");
    },
    async setLifetime(lifetimeMs) {
      requireTime(lifetimeMs);
      await place.admit();
      await setTimeoutThere(api, id, Math.ceil(lifetimeMs / 1000));
    },
    kill: oneAtATime(async () => {
      if (over.signal.aborted) return;
      const wasThere = await killSandbox(api, id);
      over.end(wasThere ? "killed" : "runtime-lost");
    }),
  };
}

/** Connecting resumes what is paused, and says whether it was. Milliseconds. */
async function resume({ api, id, place }: Sandbox, lifetimeMs: number, from: Kept): Promise<void> {
  requireTime(lifetimeMs);
  await place.look();
  const { status } = place.isPaused
    ? await connect(api, id, { lifetimeMs, from })
    : { status: 200 };
  place.hear("running");
  if (status !== 201) throw new SandboxError("conflict", `the sandbox ${id} is not paused`);
}

interface Connection {
  readonly lifetimeMs: number;
  readonly from: Kept;
}

function connect(api: Api, id: string, { lifetimeMs, from }: Connection): Promise<ServiceAnswer> {
  const anew = from === "files" ? { memory: false } : {};
  const body = { timeout: Math.ceil(lifetimeMs / 1000), ...anew };
  return api.ask({ method: "POST", path: `/sandboxes/${id}/connect`, body });
}

function requireTime(lifetimeMs: number): void {
  if (Number.isFinite(lifetimeMs) && lifetimeMs >= 0) return;
  throw new SandboxError("invalid", "lifetimeMs: expected milliseconds", { field: "lifetimeMs" });
}

async function setTimeoutThere(api: Api, id: string, seconds: number): Promise<void> {
  const path = `/sandboxes/${id}/timeout`;
  await api.ask({ method: "POST", path, body: { timeout: seconds }, isRepeatable: true });
}

/** Acts again and again until the sandbox is gone. Never rejects. */
async function follow(
  { over, leaseMs }: Sandbox,
  everyMs: number,
  act: () => Promise<unknown>,
): Promise<void> {
  let heardAt = Date.now();
  while (!over.signal.aborted) {
    await rest(everyMs, over.signal);
    if (over.signal.aborted) return;
    try {
      await act();
      heardAt = Date.now();
    } catch (cause) {
      if (isGone(cause) || Date.now() - heardAt > 2 * leaseMs) return over.end("runtime-lost");
    }
  }
}

/** Lets it live for another lease; what somebody else gave it is not shortened. */
async function renew({ api, id, leaseMs, place }: Sandbox): Promise<void> {
  const duration = Math.ceil(leaseMs / 1000);
  const path = `/sandboxes/${id}/refreshes`;
  try {
    await api.ask({ method: "POST", path, body: { duration }, isRepeatable: true, waits: true });
  } catch (cause) {
    if (!isGone(cause)) throw cause;
    const { state } = await findSandbox(api, id);
    place.hear(state);
    if (state === "running") await setTimeoutThere(api, id, duration);
  }
}

/** Ends it as its own time-out would. */
async function endNow({ api, id, over }: Sandbox): Promise<void> {
  await setTimeoutThere(api, id, 0).catch((cause: unknown) => {
    if (!isGone(cause)) throw cause;
  });
  over.end("lifetime");
}

interface Deadline {
  /** Milliseconds since the epoch. */
  at(): number;
  /** Milliseconds from now. */
  set(afterMs: number): void;
  /** Until it is set again. */
  stop(): void;
}

/** Acts at a time that may be moved; when it fails, the time-out at the service does it later. */
function deadline(over: Ending, afterMs: number, act: () => Promise<void>): Deadline {
  let at = 0;
  let timer: NodeJS.Timeout | undefined;
  const wind = (): void => {
    clearTimeout(timer);
    const leftMs = Math.max(0, at - Date.now());
    timer = setTimeout(
      () => {
        if (Date.now() < at) return wind();
        act().catch(() => undefined);
      },
      Math.min(leftMs, longestTimerMs),
    ).unref();
  };
  over.signal.addEventListener("abort", () => clearTimeout(timer), { once: true });
  const set = (fromNowMs: number): void => {
    at = Date.now() + fromNowMs;
    wind();
  };
  set(afterMs);
  return { at: () => at, set, stop: () => clearTimeout(timer) };
}

/** Ends it when nobody has used it through this process for a while. */
function idleClock(
  { api, id, over, place }: Sandbox,
  idleTimeoutMs: number,
): { readonly setBusy: (busy: boolean) => void } {
  let timer: NodeJS.Timeout | undefined;
  const end = async (): Promise<void> => {
    await killSandbox(api, id);
    over.end("idle");
  };
  const setBusy = (busy: boolean): void => {
    clearTimeout(timer);
    if (busy || idleTimeoutMs === 0 || over.signal.aborted || place.isPaused) return;
    timer = setTimeout(() => void end().catch(() => undefined), idleTimeoutMs).unref();
  };
  over.signal.addEventListener("abort", () => clearTimeout(timer), { once: true });
  setBusy(false);
  return { setBusy };
}
