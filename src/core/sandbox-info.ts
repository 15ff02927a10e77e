import type { MachineInfo, MachineMetrics } from "./driver.ts";
import type { Resources } from "./spec.ts";

/** What a sandbox is, in E2B's words and ours. */
export interface SandboxInfo {
  readonly sandboxId: string;
  readonly templateId: string;
  /** The template's name. */
  readonly name: string;
  readonly driver: string;
  /** The driver behind the service, where that tells it. */
  readonly behind?: string;
  /** Version of its own kernel, where it has one. */
  readonly kernel?: string;
  readonly state: "running" | "paused";
  readonly metadata: Readonly<Record<string, string>>;
  readonly startedAt: Date;
  /** When its lifetime ends. */
  readonly endAt: Date;
  /** Milliseconds; 0: never. */
  readonly idleTimeoutMs: number;
  readonly cpuCount: number;
  /** MiB. */
  readonly memoryMB: number;
  readonly resources: Resources;
  /** Version of the agent's protocol. */
  readonly envdVersion: string;
}

/** What a sandbox uses, in E2B's words. */
export interface SandboxMetrics {
  readonly timestamp: Date;
  readonly cpuCount: number;
  /** 0 to 100 per core, summed. */
  readonly cpuUsedPct: number;
  /** Bytes, as all below. */
  readonly memUsed: number;
  readonly memTotal: number;
  readonly memCache: number;
  readonly diskUsed: number;
  readonly diskTotal: number;
}

export function sandboxInfo(machine: MachineInfo): SandboxInfo {
  return {
    sandboxId: machine.id,
    templateId: machine.template,
    name: machine.template,
    driver: machine.driver,
    ...(machine.behind === undefined ? {} : { behind: machine.behind }),
    ...(machine.kernel === undefined ? {} : { kernel: machine.kernel }),
    state: machine.state,
    metadata: machine.metadata,
    startedAt: machine.startedAt,
    endAt: machine.endAt,
    idleTimeoutMs: machine.idleTimeoutMs,
    cpuCount: machine.resources.cpus,
    memoryMB: machine.resources.memoryMiB,
    resources: machine.resources,
    envdVersion: machine.protocolVersion,
  };
}

export function sandboxMetrics(reading: MachineMetrics): SandboxMetrics {
  return {
    timestamp: reading.timestamp,
    cpuCount: reading.cpuCount,
    cpuUsedPct: reading.cpuUsedPercent,
    memUsed: reading.memoryUsedBytes,
    memTotal: reading.memoryTotalBytes,
    memCache: reading.memoryCacheBytes,
    diskUsed: reading.diskUsedBytes,
    diskTotal: reading.diskTotalBytes,
  };
}
