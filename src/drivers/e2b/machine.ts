import type {
  Machine,
  MachineInfo,
  Power,
  Reach,
  SnapshotInfo,
  Snapshots,
} from "../../core/driver.ts";
import { SandboxError } from "../../core/errors.ts";
import { downloads } from "../../guest/downloads.ts";
import { guestCode } from "../../guest/guest-code.ts";
import { guestFiles } from "../../guest/guest-files.ts";
import { endedError, lifeline } from "../../guest/lifeline.ts";
import { portsBy } from "../../guest/ports.ts";
import { attachProcess, listProcesses, startProcess } from "../../guest/processes.ts";
import { type Transport, transport } from "../../guest/transport.ts";
import type { ToldSandbox } from "../../wire/control/service-answers.ts";
import { type Placed, agentPort, codePort } from "./address.ts";
import { reasonOf } from "./end-reason.ts";
import type { Keeper, Service } from "./service.ts";
import { wayTo } from "./way.ts";

const healthTimeoutMs = 5000;
/** How long a broken connection waits to hear whether the sandbox has ended. Milliseconds. */
const patienceMs = 3000;

/** A sandbox of a service as a machine: its agent is reached through the service's proxy. */
export function serviceMachine(service: Service, sandbox: Placed, keeper: Keeper): Machine {
  const { id } = sandbox;
  const { place, uses } = keeper;
  const { ended } = place;
  const line = lifeline(id, place, patienceMs);
  const addressOf = (port: number) => service.addresses.addressOf(sandbox, port);
  const way = wayTo(addressOf(agentPort));
  const http = transport(way, line, uses);
  const codeHttp = transport(wayTo(addressOf(codePort)), line, uses);
  const files = downloads(way, line);
  const close = (): void => {
    for (const each of [http, codeHttp, files]) each.close();
  };
  ended.then(close, close);
  const { capabilities, openPort, takeSnapshot } = service;
  return {
    id,
    kernel: undefined,
    files: guestFiles({ transport: http, downloads: files }),
    spawn: (command, signal) => startProcess(http, command, signal),
    processes: () => listProcesses(http),
    attach: (pid) => attachProcess(http, pid),
    async info() {
      const told = await service.find(id);
      if (told.state === "ended") throw endedError(id, reasonOf(told));
      return machineInfo(keeper.completed(told));
    },
    metrics: () => service.metrics(id),
    isRunning: () => isRunning(http),
    setLifetime: (lifetimeMs) => keeper.setLifetime(lifetimeMs),
    code: capabilities.has("code") ? guestCode(codeHttp) : undefined,
    ports:
      capabilities.has("ports") && openPort !== undefined
        ? portsBy(openPort(sandbox), line, uses)
        : undefined,
    power: capabilities.has("pause") ? powerOf(service, keeper) : undefined,
    snapshots:
      takeSnapshot === undefined ? undefined : snapshotsBy((name) => takeSnapshot(id, name)),
    reach: reachOf(service, sandbox),
    ended,
    async [Symbol.asyncDispose]() {
      await keeper.kill();
      close();
    },
  };
}

function snapshotsBy(take: (name: string) => Promise<SnapshotInfo>): Snapshots {
  return {
    keeps: ["files"],
    async take(name, kept = "files") {
      if (kept === "files") return take(name);
      throw new SandboxError("unsupported", "kept: a snapshot of a service keeps what that keeps", {
        field: "kept",
        mend: "keep files",
      });
    },
  };
}

function powerOf({ keeps }: Service, keeper: Keeper): Power {
  return {
    keeps,
    // Whatever becomes of it is the service's.
    givesMemoryBack: false,
    async pause(kept = keeps[0]) {
      if (kept === undefined || !keeps.includes(kept))
        throw new SandboxError("unsupported", `kept: the service keeps ${keeps.join(" or ")}`, {
          field: "kept",
          mend: "name one of these, or leave it out",
        });
      await keeper.pause(kept);
    },
    resume: (lifetimeMs, from = "memory") => keeper.resume(lifetimeMs, from),
  };
}

/** What a sandbox of a service is to this driver's caller. */
export function machineInfo(told: ToldSandbox): MachineInfo {
  return {
    id: told.id,
    driver: "e2b",
    ...(told.driver === undefined ? {} : { behind: told.driver }),
    template: told.template,
    state: told.state === "paused" ? "paused" : "running",
    metadata: told.metadata,
    resources: told.resources,
    startedAt: told.startedAt,
    endAt: told.endAt,
    holdsMemory: false,
    idleTimeoutMs: told.idleTimeoutMs,
    agentVersion: told.envdVersion,
    protocolVersion: told.envdVersion,
  };
}

function reachOf({ addresses }: Service, sandbox: Placed): Reach {
  const { "e2b-sandbox-port": _, ...headers } = addresses.addressOf(sandbox, agentPort).headers;
  return {
    kind: "http",
    url: (port) => addresses.addressOf(sandbox, port).url.href,
    headers,
  };
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
