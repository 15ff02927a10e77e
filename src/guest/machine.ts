import type { EndReason, Machine, MachineInfo, MachineMetrics } from "../core/driver.ts";
import { SandboxError } from "../core/errors.ts";
import { type MachineAccess, hostWay } from "./access.ts";
import type { ControlInfo, ControlMetrics } from "./control-messages.ts";
import { type ControlChannel, controlChannel } from "./control.ts";
import { downloads } from "./downloads.ts";
import { guestCode } from "./guest-code.ts";
import { guestFiles } from "./guest-files.ts";
import { endedError, lifeline } from "./lifeline.ts";
import { guestPorts } from "./ports.ts";
import { attachProcess, listProcesses, startProcess } from "./processes.ts";
import { type Transport, transport } from "./transport.ts";
import { uses } from "./uses.ts";

const healthTimeoutMs = 3000;

/** How far apart two readings are, when there is no earlier one to compare with. Milliseconds. */
const samplingMs = 100;

/**
 * A machine whose agent is reached through its `machine.sock`.
 *
 * Opens the control channel first, as the owner's where `access.own` says so. Throws `lost` when the machine is not there.
 */
export async function agentMachine(access: MachineAccess): Promise<Machine> {
  const control = await controlChannel(access.dial);
  if (access.own) await control.own();
  return machineOver(access, control);
}

function machineOver(access: MachineAccess, control: ControlChannel): Machine {
  const { id } = access;
  const ended = endOf(access, control);
  const line = lifeline(id, ended, access.patienceMs);
  const using = uses(control);
  const way = hostWay(access.dial);
  const http = transport(way, line, using);
  const files = downloads(way, line);
  const close = (): void => {
    http.close();
    files.close();
  };
  ended.then(close, close);
  const dispose = once(() => end(access, control, { ended, close }));
  const told = <T>(answer: Promise<T>): Promise<T> => explained(answer, id, ended);
  return {
    id,
    files: guestFiles({ transport: http, downloads: files }),
    spawn: (command, signal) => startProcess(http, command, signal),
    processes: () => listProcesses(http),
    attach: (pid) => attachProcess(http, pid),
    info: async () => machineInfo(access, await told(control.info())),
    metrics: metricsOf(() => told(control.metrics())),
    isRunning: () => isRunning(http),
    setLifetime: (lifetimeMs) => told(control.setLifetime(lifetimeMs)),
    code: access.code ? guestCode(http) : undefined,
    ports: guestPorts(access.dial, line, using),
    power: undefined,
    reach: access.reach,
    snapshots: undefined,
    ended,
    [Symbol.asyncDispose]: dispose,
  };
}

async function endOf(access: MachineAccess, control: ControlChannel): Promise<EndReason> {
  const reason = await control.ended;
  return reason ?? (await access.endNote?.()) ?? "runtime-lost";
}

interface Holdings {
  readonly ended: Promise<EndReason>;
  readonly close: () => void;
}

async function end(
  access: MachineAccess,
  control: ControlChannel,
  { ended, close }: Holdings,
): Promise<void> {
  try {
    await control.kill();
    await ended;
  } finally {
    close();
    control.close();
    await access.release?.();
  }
}

/** The same promise for every call. */
function once(act: () => Promise<void>): () => Promise<void> {
  let running: Promise<void> | undefined;
  return () => (running ??= act());
}

/** A control call's answer; a channel that broke because the machine ended says why. */
async function explained<T>(answer: Promise<T>, id: string, ended: Promise<EndReason>): Promise<T> {
  try {
    return await answer;
  } catch (cause) {
    const error = SandboxError.from(cause);
    if (error.code !== "lost") throw error;
    throw endedError(id, await ended, error);
  }
}

function machineInfo(access: MachineAccess, told: ControlInfo): MachineInfo {
  return {
    id: access.id,
    driver: access.driver,
    template: access.template,
    state: "running",
    metadata: access.metadata,
    resources: access.resources,
    startedAt: told.startedAt,
    endAt: told.endAt,
    idleTimeoutMs: told.idleTimeoutMs,
    agentVersion: told.agentVersion,
    protocolVersion: told.protocolVersion,
  };
}

/** Readings with the CPU's use since the reading before. */
function metricsOf(read: () => Promise<ControlMetrics>): () => Promise<MachineMetrics> {
  let earlier: ControlMetrics | undefined;
  return async () => {
    const before = earlier ?? (await read());
    if (Date.now() - before.timestamp.getTime() < samplingMs) await pause(samplingMs);
    const now = await read();
    earlier = now;
    const { cpuUsageUsec, oomKills: _, ...reading } = now;
    const elapsedMs = Math.max(1, now.timestamp.getTime() - before.timestamp.getTime());
    return {
      ...reading,
      cpuUsedPercent: (Math.max(0, cpuUsageUsec - before.cpuUsageUsec) / 1000 / elapsedMs) * 100,
    };
  };
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, milliseconds);
  });
}

async function isRunning(http: Transport): Promise<boolean> {
  try {
    const answer = await http.ask({ method: "GET", path: "/health", timeoutMs: healthTimeoutMs });
    answer.resume();
    return true;
  } catch {
    return false;
  }
}
