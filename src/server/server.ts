import { createHash } from "node:crypto";
import { once } from "node:events";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { createServer as createLock, isIP } from "node:net";
import type { AuditLog } from "../audit/audit-log.ts";
import { type RecordSink, auditSink, recorded } from "../audit/recorded.ts";
import type { Driver } from "../core/driver.ts";
import { SandboxError } from "../core/errors.ts";
import type { Store } from "../store/store.ts";
import { controlPlane } from "./control/control-plane.ts";
import { nodeListener } from "./control/node-listener.ts";
import { type DataPlane, dataPlane } from "./data/data-plane.ts";
import { type Drain, drainable } from "./drain.ts";
import { hostIdOf } from "./host-id.ts";
import { harden } from "./data/server-options.ts";
import { type Life, life } from "./life/life.ts";
import type { Found } from "./life/recovery.ts";
import { type TemplateCatalog, withoutSnapshots } from "./life/template-catalog.ts";
import { openLocalDoor } from "./local-door.ts";
import type { Log } from "./log.ts";
import { measured } from "./observe/measured.ts";
import type { Meters } from "./observe/meters.ts";
import { operator } from "./observe/operator.ts";
import { trafficLog } from "./observe/traffic-log.ts";
import type { CredentialFiles } from "./tls/credentials.ts";
import { type Door, openDoor } from "./tls/secured.ts";

export interface ServerOptions {
  readonly host: string;
  /** 0: any that is free. */
  readonly port: number;
  /** Below which sandboxes have host names, once the port is known; may carry it. */
  readonly domain: (port: number) => string;
  /** `undefined`: nothing is encrypted. */
  readonly credentials: CredentialFiles | undefined;
  /** Where the drivers keep machines: one server at a time. */
  readonly stateDir: string;
  readonly store: Store;
  readonly audit: AuditLog;
  readonly drivers: readonly Driver[];
  readonly defaultDriver: string;
  /** How many times the host's memory may be promised to sandboxes in all; `undefined`: without a limit. */
  readonly memoryOvercommit: number | undefined;
  /** The same of the disk that holds machines. */
  readonly diskOvercommit: number | undefined;
  readonly catalog: TemplateCatalog;
  /** Of this program. */
  readonly version: string;
  /** Lets the server's keeper in. */
  readonly operatorToken: string;
  /** A file by which commands of this host ask. */
  readonly localSocket: string;
  readonly meters: Meters;
  readonly log: Log;
}

/** A server that listens. */
export interface RunningServer {
  readonly port: number;
  readonly url: string;
  readonly domain: string;
  /** What an earlier server had left. */
  readonly found: Found;
  /** Takes new certificates, if they are good. Never rejects. */
  reload(): Promise<void>;
  /** Takes no new requests, waits a while for those under way, and stops; sandboxes live on unless they are to end. */
  stop(options: { readonly endSandboxes: boolean }): Promise<void>;
}

const maxConnections = 10_000;
const drainMs = 10_000;
const samplingMs = 10_000;

/**
 * Throws `conflict` where another server has the state directory, `unavailable` where the port is taken, and `invalid`
 * for a certificate that TLS cannot be spoken with.
 */
export async function startServer(options: ServerOptions): Promise<RunningServer> {
  const { stateDir, log, credentials, meters } = options;
  const unlock = await lockStateDirectory(stateDir);
  let door: Door | undefined;
  try {
    door = await openDoor({
      files: credentials,
      log,
      reloaded: (result, { expiresAt }) => meters.certificate(expiresAt, result),
    });
    harden(door.server, maxConnections);
    const drain = drainable(door.server);
    await listen(door.server, options);
    return await serve(door, options, { unlock, drain });
  } catch (cause) {
    door?.close();
    door?.server.close();
    unlock();
    log("error", "the server did not start", { error: SandboxError.from(cause).message });
    throw cause;
  }
}

async function serve(
  door: Door,
  options: ServerOptions,
  { unlock, drain }: { readonly unlock: () => void; readonly drain: Drain },
): Promise<RunningServer> {
  const { store, audit, version, log, meters } = options;
  const { server } = door;
  const { port, url, domain } = addressOf(door, options);
  const catalog = withoutSnapshots(options.catalog);
  const drivers = driversOf(options);
  const keeper = keeperOf({ ...options, catalog }, drivers, domain);
  const traffic = trafficLog(meters, log);
  const data = dataPlane({ domain, find: keeper.find, tokens: keeper.tokens, traffic });
  let isReady = false;
  let found: Found | undefined;
  const keeperOfServer = operator({
    token: options.operatorToken,
    store,
    meters,
    drivers,
    defaultDriver: options.defaultDriver,
    certificate: () => door.certificate(),
    facts: { version, url, domain, stateDir: options.stateDir, limits: limitsOf(options) },
    now: () => ({ isReady, found: { ...found } }),
  });
  const ending = new AbortController();
  const parts = { store, audit, catalog, version, life: keeper, operator: keeperOfServer };
  const control = { ...parts, isReady: () => isReady, ending: ending.signal };
  const listener = nodeListener(controlPlane(control, log), log, meters);
  const starting = answerMeanwhile(server);
  found = await keeper.recover();
  await noteStart(audit, version, found);
  starting.over();
  attach(server, data, listener);
  const shutLocalDoor = await openLocalDoor(options.localSocket, listener, log);
  isReady = true;
  return {
    port,
    url,
    domain,
    found,
    reload: () => door.reload(),
    async stop({ endSandboxes }) {
      isReady = false;
      door.close();
      shutLocalDoor();
      ending.abort();
      await drain(drainMs);
      if (endSandboxes) await keeper.endAll();
      await noteServer(audit, "server.stop", { endSandboxes: String(endSandboxes) });
      stopAll(keeper, data, server);
      unlock();
    },
  };
}

/** By name, with what happens to machines recorded and measured. */
function driversOf({ drivers, audit, meters, log }: ServerOptions): ReadonlyMap<string, Driver> {
  const sink = auditSink(audit, lostRecord(log));
  const observed = (driver: Driver): Driver => recorded(measured(driver, meters), sink);
  return new Map(drivers.map((driver) => [driver.name, observed(driver)]));
}

function keeperOf(
  options: ServerOptions,
  drivers: ReadonlyMap<string, Driver>,
  domain: string,
): Life {
  const { store, stateDir, audit, catalog, defaultDriver, log } = options;
  const host = hostIdOf(stateDir);
  return life({
    store,
    host,
    stateDir,
    audit,
    drivers,
    defaultDriver,
    catalog,
    domain,
    log,
    samplingMs,
    memoryOvercommit: options.memoryOvercommit,
    diskOvercommit: options.diskOvercommit,
  });
}

interface Address {
  readonly port: number;
  readonly url: string;
  readonly domain: string;
}

function addressOf(
  door: Door,
  { host, port: asked, domain: named, log, meters }: ServerOptions,
): Address {
  const address = door.server.address();
  const port = typeof address === "object" && address !== null ? address.port : asked;
  const domain = named(port);
  meters.certificate(door.certificate()?.expiresAt);
  if (!door.isFor(`49983-i.${domain.replace(/:\d+$/, "")}`))
    log("warn", "the certificate is not for the names of sandboxes", { domain });
  const scheme = door.certificate() === undefined ? "http" : "https";
  return { port, domain, url: `${scheme}://${isIP(host) === 6 ? `[${host}]` : host}:${port}` };
}

function limitsOf(options: ServerOptions): Readonly<Record<string, number>> {
  const { memoryOvercommit, diskOvercommit } = options;
  return {
    maxConnections,
    ...(memoryOvercommit === undefined ? {} : { memoryOvercommit }),
    ...(diskOvercommit === undefined ? {} : { diskOvercommit }),
  };
}

/** Whoever comes before an earlier server's sandboxes are found again is asked to wait. */
function answerMeanwhile(server: Server): { readonly over: () => void } {
  const body = JSON.stringify({ code: 503, message: "the server is starting" });
  const answer = (_: IncomingMessage, response: ServerResponse): void => {
    response.writeHead(503, { "content-type": "application/json", "retry-after": "1" });
    response.end(body);
  };
  server.on("request", answer);
  return { over: () => void server.off("request", answer) };
}

function attach(server: Server, data: DataPlane, control: ReturnType<typeof nodeListener>): void {
  server.on("request", (request, response) => {
    if (!data.handle(request, response)) control(request, response);
  });
  server.on("checkContinue", (request, response) => {
    if (data.handle(request, response)) return;
    response.writeContinue();
    control(request, response);
  });
  server.on("upgrade", (request, socket, head) => {
    if (data.upgrade(request, socket, head)) return;
    socket.end("HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
  });
}

async function listen(server: Server, { host, port }: ServerOptions): Promise<void> {
  server.listen(port, host);
  try {
    await once(server, "listening");
  } catch (cause) {
    throw new SandboxError("unavailable", `the server cannot listen on ${host} port ${port}`, {
      field: "port",
      mend: "take another with --port, or end the program that has it",
      cause,
    });
  }
}

/** A name that only one process of this host can hold, and that goes with the process. */
async function lockStateDirectory(stateDir: string): Promise<() => void> {
  const digest = createHash("sha256").update(stateDir).digest("hex").slice(0, 32);
  const lock = createLock((socket) => socket.destroy());
  lock.listen(`\0cofferdam-server-${digest}`);
  try {
    await once(lock, "listening");
  } catch (cause) {
    throw new SandboxError("conflict", `another server has ${stateDir}`, {
      field: "stateDir",
      mend: "end it, or name another state directory",
      cause,
    });
  }
  lock.unref();
  return () => void lock.close();
}

function noteStart(audit: AuditLog, version: string, found: Found): Promise<void> {
  const { adopted, closed, ended } = found;
  const counts = { adopted: String(adopted), closed: String(closed), ended: String(ended) };
  return noteServer(audit, "server.start", { version, ...counts });
}

/** Written after all that was to be recorded before it. */
async function noteServer(
  audit: AuditLog,
  action: "server.start" | "server.stop",
  details: Readonly<Record<string, string>>,
): Promise<void> {
  const by = { tenantId: null, actor: "server", sandboxId: null, from: null } as const;
  await audit.append({ ...by, action, result: "ok", details });
}

function lostRecord(log: Log): RecordSink["lost"] {
  return ({ action, machineId, result }, cause) =>
    log("error", "an event could not be recorded", {
      action,
      sandboxId: machineId,
      result,
      error: SandboxError.from(cause).message,
    });
}

function stopAll(keeper: Life, data: DataPlane, server: Server): void {
  keeper.close();
  data.close();
  server.closeAllConnections();
}
