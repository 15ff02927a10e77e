import type { Machine, MachineInfo, MachineMetrics, Power, Snapshots } from "../core/driver.ts";
import { SandboxError } from "../core/errors.ts";
import { type MachineAccess, hostWay } from "./access.ts";
import type { ControlInfo, ControlMetrics } from "./control-messages.ts";
import { downloads } from "./downloads.ts";
import { guestCode } from "./guest-code.ts";
import { guestFiles } from "./guest-files.ts";
import { lifeline } from "./lifeline.ts";
import { guestPorts } from "./ports.ts";
import { Presence } from "./presence.ts";
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
  return machineOver(access, await Presence.find(access));
}

function machineOver(access: MachineAccess, presence: Presence): Machine {
  const { id } = access;
  const { ended } = presence;
  const line = lifeline(id, presence, access.patienceMs);
  const using = uses(presence);
  const way = hostWay(access.dial);
  const http = transport(way, line, using);
  const files = downloads(way, line);
  const close = (): void => {
    http.close();
    files.close();
  };
  ended.then(close, close);
  const dispose = once(() => end(access, presence, close));
  return {
    id,
    kernel: access.kernel,
    files: guestFiles({ transport: http, downloads: files }),
    spawn: (command, signal) => startProcess(http, command, signal),
    processes: () => listProcesses(http),
    attach: (pid) => attachProcess(http, pid),
    info: async () => machineInfo(access, await presence.info()),
    metrics: metricsOf(() => presence.ask((control) => control.metrics())),
    isRunning: () => isRunning(http),
    setLifetime: (lifetimeMs) => presence.ask((control) => control.setLifetime(lifetimeMs)),
    code: access.code ? guestCode(http) : undefined,
    ports: guestPorts(access.dial, line, using),
    power: access.keeps.length > 0 ? powerOf(access, presence) : undefined,
    reach: access.reach,
    snapshots: snapshotsOf(access, presence),
    ended,
    [Symbol.asyncDispose]: dispose,
  };
}

function powerOf({ keeps, givesMemoryBack }: MachineAccess, presence: Presence): Power {
  return {
    keeps,
    givesMemoryBack,
    async pause(kept = keeps[0]) {
      if (kept === undefined || !keeps.includes(kept))
        throw new SandboxError("unsupported", `kept: this driver keeps ${keeps.join(" or ")}`, {
          field: "kept",
        });
      await presence.pause(kept);
    },
    resume: (lifetimeMs, from = "memory") => presence.resume(lifetimeMs, from),
  };
}

function snapshotsOf(
  { takeSnapshot, snapshotKeeps: keeps = ["files"] }: MachineAccess,
  presence: Presence,
): Snapshots | undefined {
  if (takeSnapshot === undefined) return undefined;
  return {
    keeps,
    async take(name, kept = "files") {
      if (!keeps.includes(kept))
        throw new SandboxError(
          "unsupported",
          `kept: snapshots of this driver keep ${keeps.join(" or ")}`,
          { field: "kept", mend: `keep ${keeps.join(" or ")}` },
        );
      await presence.admit();
      return takeSnapshot(name, (directory) =>
        presence.ask((control) => control.copyDisk(directory, kept)),
      );
    },
  };
}

async function end(access: MachineAccess, presence: Presence, close: () => void): Promise<void> {
  try {
    await presence.kill();
    await presence.ended;
  } finally {
    close();
    presence.close();
    await access.release?.();
  }
}

/** The same promise for every call. */
function once(act: () => Promise<void>): () => Promise<void> {
  let running: Promise<void> | undefined;
  return () => (running ??= act());
}

function machineInfo(access: MachineAccess, told: ControlInfo): MachineInfo {
  return {
    id: access.id,
    driver: access.driver,
    ...(access.kernel === undefined ? {} : { kernel: access.kernel }),
    template: access.template,
    state: told.state,
    holdsMemory: told.supervisorPid !== 0,
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
