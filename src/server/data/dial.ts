import { type Socket, connect } from "node:net";
import { SandboxError } from "../../core/errors.ts";

/** Small buffers make each read wait for the write before it. */
const bufferBytes = 262_144;

function open(path: string): Socket {
  const options = { path, allowHalfOpen: true, highWaterMark: bufferBytes };
  return connect(options);
}

/** A new connection to a machine's agent, as a tenant speaks to it. */
export function dialAgent(path: string, timeoutMs: number): Socket {
  const socket = open(path);
  limitConnecting(socket, timeoutMs);
  socket.write("PUBLIC\n");
  return socket;
}

const joined = 0;

/**
 * A new connection to a port inside a machine, once somebody is known to listen there.
 *
 * Fails with `unavailable` where nobody listens and `lost` where there is no machine.
 */
export function dialPort(
  path: string,
  port: number,
  timeoutMs: number,
): { readonly socket: Socket; readonly joined: Promise<void> } {
  const socket = open(path);
  const promise = new Promise<void>((resolve, reject) => {
    const settle = (): void => {
      clearTimeout(timer);
      socket.off("readable", readable);
      socket.off("error", fail);
      socket.off("close", closed);
    };
    const fail = (cause?: unknown): void => {
      settle();
      socket.on("error", () => undefined);
      socket.destroy();
      reject(cause instanceof SandboxError ? cause : lost(cause));
    };
    const closed = (): void => fail();
    const readable = (): void => {
      const status: unknown = socket.read(1);
      if (!Buffer.isBuffer(status)) return socket.readableEnded ? fail() : undefined;
      if (status[0] !== joined) return fail(nobodyListens(port));
      settle();
      resolve();
    };
    const timer = setTimeout(() => fail(), timeoutMs);
    socket.on("readable", readable);
    socket.on("error", fail);
    socket.on("close", closed);
    socket.on("end", closed);
  });
  socket.write(`PORT ${port}\n`);
  return { socket, joined: promise };
}

function limitConnecting(socket: Socket, timeoutMs: number): void {
  const timer = setTimeout(() => socket.destroy(lost(undefined)), timeoutMs);
  const settle = (): void => clearTimeout(timer);
  socket.once("connect", settle);
  socket.once("close", settle);
}

function lost(cause: unknown): SandboxError {
  return new SandboxError("lost", "The sandbox was not found", { cause });
}

function nobodyListens(port: number): SandboxError {
  return new SandboxError("unavailable", `nobody listens on port ${port}`, { field: "port" });
}
