import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { type ClientRequest, type IncomingMessage, type Server, createServer } from "node:http";
import {
  type Server as NetServer,
  type Socket,
  connect,
  createServer as createNetServer,
} from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { nativeFile } from "../../src/images/native.ts";
import { type DataPlane, dataPlane } from "../../src/server/data/data-plane.ts";
import { dataServerOptions, harden } from "../../src/server/data/server-options.ts";
import type { DataPlaneOptions, Target } from "../../src/server/data/target.ts";

export const sandboxId = "iaaaaaaaaaaaaaaaaaaaa";
export const accessToken = "token-of-the-sandbox";

/** A server of the data plane, for one sandbox whose facts a test may change. */
export interface Rig extends AsyncDisposable {
  readonly port: number;
  readonly url: string;
  readonly server: Server;
  readonly plane: DataPlane;
  /** Uses of the sandbox that have begun and not ended. */
  readonly uses: { now: number; ever: number };
  /** What the proxy finds; `undefined`: nothing. */
  target: Target | undefined;
  /** Ends the sandbox as the server would. */
  kill(): void;
}

export interface RigOptions extends Partial<DataPlaneOptions> {
  readonly target?: Partial<Target>;
}

export async function rig(path: string, options: RigOptions = {}): Promise<Rig> {
  const { target: facts, ...more } = options;
  const ending = new AbortController();
  const uses = { now: 0, ever: 0 };
  const target: Target = {
    id: sandboxId,
    reach: { kind: "socket", path },
    accessToken,
    allowPublicTraffic: true,
    onEnd: ending.signal,
    touch() {
      uses.now += 1;
      uses.ever += 1;
      return () => void (uses.now -= 1);
    },
    ...facts,
  };
  const state: { target: Target | undefined } = { target };
  const plane = dataPlane({
    domain: "sbx.localhost:3999",
    find: (id) => Promise.resolve(id === sandboxId ? state.target : undefined),
    tokens: () => [{ id: sandboxId, accessToken }],
    ...more,
  });
  const server = createServer(dataServerOptions, (request, response) => {
    if (!plane.handle(request, response)) response.writeHead(421).end("not the data plane");
  });
  server.on("checkContinue", (request, response) => void plane.handle(request, response));
  server.on("upgrade", (request, socket, head) => {
    if (!plane.upgrade(request, socket, head)) socket.destroy();
  });
  harden(server, 10_000);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const port = portOf(server);
  return {
    port,
    url: `http://127.0.0.1:${port}`,
    server,
    plane,
    uses,
    get target() {
      return state.target;
    },
    set target(next) {
      state.target = next;
    },
    kill() {
      state.target = undefined;
      ending.abort();
    },
    async [Symbol.asyncDispose]() {
      plane.close();
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

/** The port that a server of this host listens on. */
export function portOf(server: NetServer): number {
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("it listens on no port");
  return address.port;
}

/** The headers that name the sandbox's port. */
export function to(port: number, more: Record<string, string> = {}): Record<string, string> {
  return { "e2b-sandbox-id": sandboxId, "e2b-sandbox-port": String(port), ...more };
}

export interface Guest extends AsyncDisposable {
  readonly path: string;
}

/** The real agent on a socket; it may reach the ports of this host as those of its machine. */
export async function agent(): Promise<Guest> {
  const directory = await mkdtemp(join(tmpdir(), "data-plane-"));
  const path = join(directory, "machine.sock");
  const setup = JSON.stringify({ accessToken, defaultUser: "nobody" });
  const child = spawn(
    "unshare",
    [
      "--pid",
      "--fork",
      "--kill-child=KILL",
      "--mount-proc",
      nativeFile("agent"),
      "--listen",
      path,
      "--setup",
      setup,
    ],
    { stdio: "ignore" },
  );
  await reachable(path);
  return { path, [Symbol.asyncDispose]: () => ended(child, directory) };
}

async function reachable(path: string): Promise<void> {
  const deadline = Date.now() + 20_000;
  for (;;) {
    const socket = connect(path);
    const came = await Promise.race([
      once(socket, "connect").then(() => true),
      once(socket, "close").then(() => false),
    ]).catch(() => false);
    socket.destroy();
    if (came) return;
    if (Date.now() > deadline) throw new Error("the agent does not come");
    await new Promise((resolve) => void setTimeout(resolve, 20));
  }
}

async function ended(child: ChildProcess, directory: string): Promise<void> {
  child.kill("SIGKILL");
  if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
  await rm(directory, { recursive: true, force: true });
}

/** A guest that is a program of the test: it gets each connection after its first line. */
export async function guest(
  speak: (socket: Socket, firstLine: string) => void,
): Promise<Guest & { readonly connections: () => number }> {
  const directory = await mkdtemp(join(tmpdir(), "data-plane-"));
  const path = join(directory, "machine.sock");
  const sockets = new Set<Socket>();
  let ever = 0;
  const server: NetServer = createNetServer({ allowHalfOpen: true }, (socket) => {
    ever += 1;
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", () => socket.destroy());
    socket.once("data", (bytes) => {
      socket.pause();
      const end = bytes.indexOf("\n");
      const rest = bytes.subarray(end + 1);
      if (rest.length > 0) socket.unshift(rest);
      speak(socket, bytes.toString("latin1", 0, end));
      socket.resume();
    });
  });
  server.listen(path);
  await once(server, "listening");
  return {
    path,
    connections: () => ever,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** The answer to a request. */
export function answerOf(sent: ClientRequest): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    sent.once("response", resolve);
    sent.once("error", reject);
  });
}

/** What comes next on a stream that flows. */
export function nextBytes(stream: Readable): Promise<Buffer> {
  return new Promise((resolve) => void stream.once("data", (bytes: Buffer) => resolve(bytes)));
}

/** Waits until something is so. */
export async function until(isSo: () => boolean, what: string): Promise<void> {
  const deadline = Date.now() + 20_000;
  while (!isSo()) {
    if (Date.now() > deadline) throw new Error(`never: ${what}`);
    await new Promise((resolve) => void setTimeout(resolve, 5));
  }
}

/** Says bytes to the server and collects what comes until it closes. */
export async function raw(port: number, bytes: string): Promise<string> {
  const socket = connect(port, "127.0.0.1");
  socket.write(bytes);
  let text = "";
  socket.setEncoding("latin1");
  socket.on("data", (more: string) => void (text += more));
  socket.on("error", () => socket.destroy());
  await once(socket, "close");
  return text;
}
