import type { InTurn } from "../../core/at-most.ts";
import type { Machine, MachineInfo } from "../../core/driver.ts";
import { SandboxError } from "../../core/errors.ts";
import type { SandboxRecord } from "../../store/sandbox-record.ts";
import type { Store } from "../../store/store.ts";
import type { Log } from "../log.ts";
import { type Alarm, alarm } from "./alarm.ts";
import { type Gate, type Known, gateOf } from "./gate.ts";
import { turns } from "./turns.ts";
import { type UseClock, useClock } from "./use-clock.ts";

/** A sandbox whose machine is here, running or paused. */
export interface LiveSandbox {
  readonly id: string;
  readonly tenantId: string;
  readonly machine: Machine;
  readonly startedAt: Date;
  readonly memoryMiB: number;
  readonly diskMiB: number;
  /** How long it lives unless its owner holds it, while it runs. Milliseconds; `undefined`: nobody must hold it. */
  leaseMs: number | undefined;
  /** Whether its memory is this host's to give: it runs, or is paused and its memory stays. */
  holdsMemory: boolean;
  /** Whether traffic resumes it when it is paused. */
  readonly autoResume: boolean;
  readonly accessToken: string | undefined;
  readonly gate: Gate;
  readonly clock: UseClock;
  /** Rings when it is to be paused: set where the end of the lifetime pauses it, since another end is the machine's own. */
  readonly alarm: Alarm;
  readonly inTurn: InTurn;
  /** Resolves once it has ended and its row says so. */
  readonly over: Promise<void>;
  /** Whether it has ended, or is being ended. */
  readonly isEnding: boolean;
  /** Ends it for a reason, and resolves when nothing of it is left and its row says so. */
  end(reason: string): Promise<void>;
}

export interface LiveSandboxes {
  get(id: string): LiveSandbox | undefined;
  all(): Iterable<LiveSandbox>;
  /** Takes a machine over until it ends; its gate is shut until somebody opens it. */
  add(known: Known, machine: Machine): LiveSandbox;
  /** Forgets them all and leaves them as they are. */
  release(): void;
}

interface Keeping {
  readonly store: Store;
  readonly log: Log;
  /** Pauses or ends a sandbox whose time is over. Never rejects. */
  readonly expire: (sandbox: LiveSandbox, why: "lifetime" | "idle") => Promise<void>;
  /** Gives back what machines of a driver left whose end nobody could tidy up after. Never rejects. */
  readonly sweep: (driver: string) => Promise<void>;
}

export function liveSandboxes(keeping: Keeping): LiveSandboxes {
  const known = new Map<string, LiveSandbox>();
  return {
    get: (id) => known.get(id),
    all: () => known.values(),
    add(found, machine) {
      const sandbox = keep(keeping, { found, machine, known });
      known.set(sandbox.id, sandbox);
      return sandbox;
    },
    release() {
      for (const { gate, clock, alarm: bell } of known.values()) {
        clock.stop();
        bell.set(undefined);
        gate.cut();
      }
      known.clear();
    },
  };
}

interface Taking {
  readonly found: Known;
  readonly machine: Machine;
  readonly known: Map<string, LiveSandbox>;
}

function keep(keeping: Keeping, { found, machine, known }: Taking): LiveSandbox {
  const { record, secrets } = found;
  const { id } = record;
  let endReason: string | undefined;
  let closed: Promise<void> | undefined;
  const clock = useClock(record.idleTimeoutMs, () => void keeping.expire(sandbox, "idle"));
  const close = async (reason: string): Promise<void> => {
    clock.stop();
    sandbox.alarm.set(undefined);
    sandbox.gate.cut();
    if (known.get(id) !== sandbox) return;
    known.delete(id);
    await closeRow(keeping, { id, machine, reason });
    if (reason.startsWith("runtime-lost")) await keeping.sweep(record.driver);
  };
  const over = reasonOf(machine).then((reason) => {
    endReason ??= reason;
    return (closed ??= close(endReason));
  });
  const sandbox: LiveSandbox = {
    id,
    tenantId: record.tenantId,
    machine,
    over,
    startedAt: new Date(record.startedAt),
    memoryMiB: record.resources.memoryMiB,
    diskMiB: record.resources.diskMiB,
    leaseMs: undefined,
    holdsMemory: true,
    autoResume: record.autoResume,
    accessToken: secrets.envdAccessToken ?? undefined,
    gate: gateOf(found, machine, clock.use),
    clock,
    alarm: alarm(() => void keeping.expire(sandbox, "lifetime")),
    inTurn: turns(),
    get isEnding() {
      return endReason !== undefined;
    },
    async end(reason) {
      endReason ??= reason;
      await machine[Symbol.asyncDispose]();
      await (closed ??= close(endReason));
    },
  };
  return sandbox;
}

/** Why a machine has ended; one whose end cannot be read is lost all the same. */
async function reasonOf({ ended }: Machine): Promise<string> {
  try {
    return await ended;
  } catch (cause) {
    return `runtime-lost: ${SandboxError.from(cause).code}`;
  }
}

interface Closing {
  readonly id: string;
  readonly machine: Machine;
  readonly reason: string;
}

/** Gives back what the machine's client holds and closes the row; what fails is left to the next look round. */
async function closeRow({ store, log }: Keeping, { id, machine, reason }: Closing): Promise<void> {
  try {
    await machine[Symbol.asyncDispose]();
  } catch (cause) {
    log("error", "a sandbox has ended and left something behind", factsOf(id, cause));
  }
  try {
    await store.sandboxes.move(id, {
      from: ["creating", "running", "pausing", "paused", "resuming"],
      to: "ended",
      changes: { endReason: reason },
    });
    log("info", "a sandbox has ended", { sandboxId: id, reason });
  } catch (cause) {
    if (SandboxError.from(cause).code === "conflict") return;
    log("error", "the end of a sandbox could not be written", factsOf(id, cause));
  }
}

function factsOf(sandboxId: string, cause: unknown): { sandboxId: string; error: string } {
  return { sandboxId, error: SandboxError.from(cause).message };
}

/** Lets traffic in from now on, and counts the time until it must be paused or nobody has used it. */
export function begin(sandbox: LiveSandbox, record: SandboxRecord, firstIdleMs?: number): void {
  if (sandbox.isEnding) return;
  sandbox.holdsMemory = true;
  sandbox.gate.open();
  sandbox.clock.start(firstIdleMs);
  watchEnd(sandbox, record);
}

/** Lets nobody in, ends all that is under way, and counts nothing while it is paused. */
export function rest(sandbox: LiveSandbox, { holdsMemory }: MachineInfo): void {
  const { gate, clock, alarm: bell } = sandbox;
  sandbox.holdsMemory = holdsMemory;
  gate.cut();
  clock.stop();
  bell.set(undefined);
}

/** Has it paused when its lifetime ends, where that pauses it. */
export function watchEnd(sandbox: LiveSandbox, { onTimeout, endAt }: SandboxRecord): void {
  sandbox.alarm.set(onTimeout === "pause" ? Date.parse(endAt) : undefined);
}
