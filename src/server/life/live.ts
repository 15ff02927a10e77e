import type { Machine } from "../../core/driver.ts";
import { SandboxError } from "../../core/errors.ts";
import type { SandboxRecord, SandboxSecrets } from "../../store/sandbox-record.ts";
import type { Store } from "../../store/store.ts";
import type { Target } from "../data/target.ts";
import type { Log } from "../log.ts";
import { reportedNetwork } from "./network.ts";
import { useClock } from "./use-clock.ts";

/** A sandbox whose machine runs. */
export interface LiveSandbox {
  readonly id: string;
  readonly machine: Machine;
  /** As the data plane sees it; `undefined` where nothing but the seam reaches the machine. */
  readonly target: Target | undefined;
  /** Resolves once it has ended and its row says so. Never rejects. */
  readonly over: Promise<void>;
  /** Ends it for a reason, and resolves when nothing of it is left. */
  end(reason: string): Promise<void>;
  /** Runs one after the other what must not run at once. */
  inTurn<T>(work: () => Promise<T>): Promise<T>;
}

export interface LiveSandboxes {
  get(id: string): LiveSandbox | undefined;
  all(): Iterable<LiveSandbox>;
  /** Takes a machine over until it ends. */
  add(record: SandboxRecord, machine: Machine, secrets: SandboxSecrets): LiveSandbox;
  /** Forgets them all and leaves them running. */
  release(): void;
}

interface Keeping {
  readonly store: Store;
  readonly log: Log;
}

export function liveSandboxes(keeping: Keeping): LiveSandboxes {
  const known = new Map<string, LiveSandbox>();
  const ending = new Map<string, AbortController>();
  let released = false;
  return {
    get: (id) => known.get(id),
    all: () => known.values(),
    add(record, machine, secrets) {
      const { id } = record;
      const gone = new AbortController();
      let endReason: string | undefined;
      const end = async (reason: string): Promise<void> => {
        endReason ??= reason;
        await machine[Symbol.asyncDispose]();
        await over;
      };
      const clock = useClock(record.idleTimeoutMs, () => {
        void settled(end("idle"), keeping, id);
      });
      const whenEnded = async (): Promise<void> => {
        const reason = await reasonOf(machine);
        clock.stop();
        gone.abort();
        if (known.get(id) === sandbox) known.delete(id);
        ending.delete(id);
        if (!released) await close(keeping, { id, machine, reason: endReason ?? reason });
      };
      const over = whenEnded();
      const sandbox: LiveSandbox = {
        id,
        machine,
        target: targetOf({ record, machine, secrets }, clock.use, gone.signal),
        over,
        end,
        inTurn: turns(),
      };
      known.set(id, sandbox);
      ending.set(id, gone);
      return sandbox;
    },
    release() {
      released = true;
      for (const gone of ending.values()) gone.abort();
      known.clear();
    },
  };
}

/** Why a machine has ended; one whose end cannot be read is lost all the same. */
async function reasonOf({ ended }: Machine): Promise<string> {
  try {
    return await ended;
  } catch (cause) {
    return `runtime-lost: ${SandboxError.from(cause).code}`;
  }
}

interface Found {
  readonly record: SandboxRecord;
  readonly machine: Machine;
  readonly secrets: SandboxSecrets;
}

function targetOf(
  { record, machine, secrets }: Found,
  touch: Target["touch"],
  onEnd: AbortSignal,
): Target | undefined {
  if (machine.reach === undefined) return undefined;
  const { allowPublicTraffic, maskRequestHost } = reportedNetwork(record.network);
  return {
    id: record.id,
    reach: machine.reach,
    accessToken: secrets.envdAccessToken ?? undefined,
    trafficToken: secrets.trafficAccessToken ?? undefined,
    allowPublicTraffic,
    maskRequestHost,
    touch,
    onEnd,
  };
}

/** Gives back what the machine's client holds and closes the row; what fails is left to the next look round. */
async function close(
  { store, log }: Keeping,
  {
    id,
    machine,
    reason,
  }: { readonly id: string; readonly machine: Machine; readonly reason: string },
): Promise<void> {
  try {
    await machine[Symbol.asyncDispose]();
  } catch (cause) {
    log("error", "a sandbox has ended and left something behind", factsOf(id, cause));
  }
  try {
    await store.sandboxes.move(id, {
      from: ["creating", "running", "pausing", "resuming"],
      to: "ended",
      changes: { endReason: reason },
    });
    log("info", "a sandbox has ended", { sandboxId: id, reason });
  } catch (cause) {
    if (SandboxError.from(cause).code === "conflict") return;
    log("error", "the end of a sandbox could not be written", factsOf(id, cause));
  }
}

async function settled(work: Promise<void>, { log }: Keeping, id: string): Promise<void> {
  try {
    await work;
  } catch (cause) {
    log("error", "a sandbox could not be ended", factsOf(id, cause));
  }
}

function factsOf(sandboxId: string, cause: unknown): { sandboxId: string; error: string } {
  return { sandboxId, error: SandboxError.from(cause).message };
}

/** A queue of one. */
function turns(): <T>(work: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve();
  return (work) => {
    const next = last.then(work, work);
    last = next.catch(() => undefined);
    return next;
  };
}
