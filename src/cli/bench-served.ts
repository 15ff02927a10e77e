import { connect } from "node:net";
import type { Driver, EndReason, Machine } from "../core/driver.ts";
import { SandboxError } from "../core/errors.ts";
import { Sandbox } from "../core/sandbox.ts";
import type { Way } from "../guest/access.ts";
import { downloads } from "../guest/downloads.ts";
import { guestCode } from "../guest/guest-code.ts";
import { guestFiles } from "../guest/guest-files.ts";
import { lifeline } from "../guest/lifeline.ts";
import { attachProcess, listProcesses, startProcess } from "../guest/processes.ts";
import { transport } from "../guest/transport.ts";

interface Place {
  readonly url: string;
  readonly id: string;
  readonly token: string;
}

/** A server's sandbox through its data plane, by the same client that the library has, so that only the server differs. */
export function servedSandbox(driver: Driver, place: Place): Sandbox {
  return new Sandbox({
    driver,
    machine: servedMachine(place),
    spec: undefined,
    choice: { driver: driver.name, reason: "the server has it", rejected: [] },
  });
}

/** Commands, code and files alone; disposing closes connections and ends nothing. */
function servedMachine(place: Place): Machine {
  const never = new Promise<EndReason>(() => undefined);
  const running = { ended: never, isPaused: false, admit: () => Promise.resolve() };
  const line = lifeline(place.id, running);
  const uses = { begin: () => () => undefined };
  const way = wayTo(place, 49_983);
  const http = transport(way, line, uses);
  const codeHttp = transport(wayTo(place, 49_999), line, uses);
  const files = downloads(way, line);
  return {
    id: place.id,
    kernel: undefined,
    files: guestFiles({ transport: http, downloads: files }),
    code: guestCode(codeHttp),
    spawn: (command, signal) => startProcess(http, command, signal),
    processes: () => listProcesses(http),
    attach: (pid) => attachProcess(http, pid),
    info: notMeasured,
    metrics: notMeasured,
    isRunning: () => Promise.resolve(true),
    setLifetime: notMeasured,
    ports: undefined,
    power: undefined,
    snapshots: undefined,
    reach: undefined,
    ended: never,
    async [Symbol.asyncDispose]() {
      for (const each of [http, codeHttp, files]) each.close();
      return Promise.resolve();
    },
  };
}

function wayTo({ url, id, token }: Place, port: number): Way {
  const { host, hostname, port: serverPort } = new URL(url);
  return {
    connect: (onread) =>
      connect({
        host: hostname,
        port: Number(serverPort),
        noDelay: true,
        ...(onread === undefined ? {} : { onread }),
      }),
    headers: {
      host,
      "e2b-sandbox-id": id,
      "e2b-sandbox-port": String(port),
      "x-access-token": token,
    },
    prefix: "",
  };
}

function notMeasured(): Promise<never> {
  return Promise.reject(new SandboxError("unsupported", "the benchmark does not ask for this"));
}
