import type { Driver, Machine, Power, Snapshots } from "../core/driver.ts";
import { SandboxError } from "../core/errors.ts";
import type { AuditLog } from "./audit-log.ts";

/** What happened to a machine, as seen at the seam. */
export interface MachineEvent {
  readonly action: `machine.${"create" | "open" | "pause" | "resume" | "snapshot" | "kill" | "end"}`;
  readonly driver: string;
  /** `null`: none was made. */
  readonly machineId: string | null;
  /** The template asked for; `null` where the caller named none. */
  readonly template: string | null;
  /** `ok`, an error code, or why it ended. */
  readonly result: string;
  /** Version of the machine's own kernel, where it has one; told when it is made or opened. */
  readonly kernel?: string;
}

/** Where events go. */
export interface RecordSink {
  /** Resolves once the event is written. */
  record(event: MachineEvent): Promise<void>;
  /** Told of an end that could not be written, for which no caller waits. Must not throw. */
  lost(event: MachineEvent, cause: unknown): void;
}

/**
 * The driver, with every creation, opening, kill and end of a machine recorded.
 *
 * A machine whose creation cannot be recorded is ended again, and one whose opening cannot be recorded is not handed out.
 */
export function recorded(driver: Driver, sink: RecordSink): Driver {
  return {
    name: driver.name,
    isolation: driver.isolation,
    capabilities: driver.capabilities,
    probe: () => driver.probe(),
    enforcement: (spec) => driver.enforcement(spec),
    list: () => driver.list(),
    snapshots: driver.snapshots,
    sweep: () => driver.sweep(),
    create: async (spec, signal) => {
      const about = { driver: driver.name, template: spec.template };
      const event = { ...about, action: "machine.create" } as const;
      const machine = await noted(() => driver.create(spec, signal), { sink, event });
      try {
        const made = { ...event, machineId: machine.id, ...kernelOf(machine) };
        await sink.record({ ...made, result: "ok" });
      } catch (cause) {
        await machine[Symbol.asyncDispose]();
        throw cause;
      }
      return watched(machine, { sink, about });
    },
    open: async (id) => {
      const about = { driver: driver.name, template: null };
      const event = { ...about, action: "machine.open", machineId: id } as const;
      const machine = await noted(() => driver.open(id), { sink, event });
      await sink.record({ ...event, ...kernelOf(machine), result: "ok" });
      return watched(machine, { sink, about });
    },
  };
}

function kernelOf({ kernel }: Machine): Pick<MachineEvent, "kernel"> {
  return kernel === undefined ? {} : { kernel };
}

interface Watch {
  readonly sink: RecordSink;
  readonly about: Pick<MachineEvent, "driver" | "template">;
}

/** Records a failure, and passes it on. */
async function noted<T>(
  act: () => Promise<T>,
  {
    sink,
    event,
  }: {
    sink: RecordSink;
    event: Omit<MachineEvent, "machineId" | "result"> & Partial<MachineEvent>;
  },
): Promise<T> {
  try {
    return await act();
  } catch (cause) {
    await sink.record({ machineId: null, ...event, result: SandboxError.from(cause).code });
    throw cause;
  }
}

function watched(machine: Machine, watch: Watch): Machine {
  void machine.ended.then(
    (reason) => recordEnd(machine.id, watch, reason),
    (cause: unknown) => recordEnd(machine.id, watch, SandboxError.from(cause).code),
  );
  return {
    id: machine.id,
    kernel: machine.kernel,
    files: machine.files,
    spawn: (command, signal) => machine.spawn(command, signal),
    processes: () => machine.processes(),
    attach: (pid) => machine.attach(pid),
    info: () => machine.info(),
    metrics: () => machine.metrics(),
    isRunning: () => machine.isRunning(),
    setLifetime: (lifetimeMs) => machine.setLifetime(lifetimeMs),
    code: machine.code,
    ports: machine.ports,
    power: machine.power && watchedPower(machine.id, machine.power, watch),
    snapshots: machine.snapshots && watchedSnapshots(machine.id, machine.snapshots, watch),
    reach: machine.reach,
    ended: machine.ended,
    [Symbol.asyncDispose]: () => kill(machine, watch),
  };
}

function watchedPower(machineId: string, power: Power, watch: Watch): Power {
  return {
    keeps: power.keeps,
    givesMemoryBack: power.givesMemoryBack,
    pause: (kept) => doing(() => power.pause(kept), { action: "machine.pause", machineId, watch }),
    resume: (lifetimeMs, from) =>
      doing(() => power.resume(lifetimeMs, from), { action: "machine.resume", machineId, watch }),
  };
}

function watchedSnapshots(machineId: string, snapshots: Snapshots, watch: Watch): Snapshots {
  return {
    keeps: snapshots.keeps,
    take: (name, kept) =>
      doing(() => snapshots.take(name, kept), { action: "machine.snapshot", machineId, watch }),
  };
}

interface Doing {
  readonly action: MachineEvent["action"];
  readonly machineId: string;
  readonly watch: Watch;
}

/** Records what was done to a machine, whether it went well or not. What was done stays done when it cannot be recorded. */
async function doing<T>(act: () => Promise<T>, { action, machineId, watch }: Doing): Promise<T> {
  const { sink, about } = watch;
  const event = { ...about, action, machineId };
  const done = await noted(act, { sink, event });
  await sink.record({ ...event, result: "ok" });
  return done;
}

/** Never rejects. */
async function recordEnd(machineId: string, { sink, about }: Watch, result: string): Promise<void> {
  const event = { ...about, action: "machine.end", machineId, result } as const;
  try {
    await sink.record(event);
  } catch (cause) {
    sink.lost(event, cause);
  }
}

async function kill(machine: Machine, { sink, about }: Watch): Promise<void> {
  const event = { ...about, action: "machine.kill", machineId: machine.id } as const;
  try {
    await machine[Symbol.asyncDispose]();
  } catch (cause) {
    await sink.record({ ...event, result: SandboxError.from(cause).code });
    throw cause;
  }
  await sink.record({ ...event, result: "ok" });
}

/** Events of machines as entries of the audit log, of nobody in particular: who asked stands in the request's own entry. */
export function auditSink(log: AuditLog, lost: RecordSink["lost"]): RecordSink {
  return {
    record: async ({ action, driver, machineId, template, result, kernel }) => {
      await log.append({
        tenantId: null,
        actor: "server",
        action,
        sandboxId: machineId,
        from: null,
        result,
        details: {
          driver,
          ...(template === null ? {} : { template }),
          ...(kernel === undefined ? {} : { kernel }),
        },
      });
    },
    lost,
  };
}
