import type { SandboxRecord, SandboxSecrets } from "../../store/sandbox-record.ts";
import type { MetricsSample } from "../../store/metrics-samples.ts";
import type {
  WireListedSandbox,
  WireMetric,
  WireSandbox,
  WireSandboxDetail,
  WireSnapshot,
} from "../../wire/control/answers.ts";
import type { SnapshotRecord } from "../../store/snapshot-record.ts";
import type { Tenant } from "../../store/tenant.ts";
import { reportedNetwork } from "../life/network.ts";
import { publicNames } from "../life/snapshot-name.ts";

/** Clients once told nodes apart by it. */
const clientID = "cofferdam";

export function wireSandbox(record: SandboxRecord, secrets: SandboxSecrets): WireSandbox {
  return {
    sandboxID: record.id,
    templateID: record.template,
    alias: record.template,
    clientID,
    envdVersion: record.agentVersion ?? "",
    ...tokenOf(secrets),
    trafficAccessToken: secrets.trafficAccessToken,
    domain: record.domain,
  };
}

function tokenOf({ envdAccessToken }: SandboxSecrets): { readonly envdAccessToken?: string } {
  return envdAccessToken === null ? {} : { envdAccessToken };
}

export function wireSnapshot(record: SnapshotRecord, tenant: Tenant): WireSnapshot {
  const { snapshotId, names } = publicNames(record, tenant);
  return { snapshotID: snapshotId, names, kept: record.kept };
}

export function wireListed(record: SandboxRecord): WireListedSandbox {
  const { cpus, memoryMiB, diskMiB } = record.resources;
  return {
    sandboxID: record.id,
    templateID: record.template,
    alias: record.template,
    clientID,
    startedAt: record.startedAt,
    endAt: record.endAt,
    state: record.state === "paused" || record.state === "resuming" ? "paused" : "running",
    cpuCount: Math.ceil(cpus),
    memoryMB: memoryMiB,
    diskSizeMB: diskMiB,
    driver: record.driver,
    envdVersion: record.agentVersion ?? "",
    metadata: record.metadata,
    volumeMounts: [],
  };
}

export function wireDetail(record: SandboxRecord, secrets: SandboxSecrets): WireSandboxDetail {
  return {
    ...wireListed(record),
    ...tokenOf(secrets),
    domain: record.domain,
    allowInternetAccess: false,
    network: { ...reportedNetwork(record.network) },
    lifecycle: { onTimeout: record.onTimeout, autoResume: record.autoResume },
  };
}

export function wireMetric(sample: MetricsSample): WireMetric {
  return {
    timestamp: sample.at,
    timestampUnix: Math.floor(Date.parse(sample.at) / 1000),
    cpuCount: Math.ceil(sample.cpuCount),
    cpuUsedPct: Math.round(sample.cpuUsedPercent * 100) / 100,
    memUsed: sample.memoryUsedBytes,
    memTotal: sample.memoryTotalBytes,
    memCache: sample.memoryCacheBytes,
    diskUsed: sample.diskUsedBytes,
    diskTotal: sample.diskTotalBytes,
  };
}
