import type { Socket } from "node:net";
import { Duplex } from "node:stream";
import type { ByteChannel, Ports } from "../core/driver.ts";
import { SandboxError } from "../core/errors.ts";
import type { Dial } from "./access.ts";
import type { Lifeline } from "./lifeline.ts";
import { cancelledBy } from "./transport.ts";
import type { Uses } from "./uses.ts";

const joined = 0;
const joinTimeoutMs = 10_000;

/** Ports of a machine: each connection is one to its socket, joined to 127.0.0.1 inside. */
export function guestPorts(dial: Dial, lifeline: Lifeline, uses: Uses): Ports {
  const open: OpenPort = async (port, signal) => {
    const socket = dial();
    try {
      await join(socket, port, signal);
    } catch (cause) {
      socket.destroy();
      throw cause;
    }
    return socket;
  };
  return portsBy(open, lifeline, uses);
}

/** Opens a connection to a port inside. Throws `unavailable` where nobody listens. */
export type OpenPort = (port: number, signal: AbortSignal | undefined) => Promise<Duplex>;

/** Ports of a machine, each opened in the same way. */
export function portsBy(open: OpenPort, lifeline: Lifeline, uses: Uses): Ports {
  return {
    async connect(port, signal): Promise<ByteChannel> {
      if (signal?.aborted === true) throw cancelledBy(signal);
      if (!(Number.isInteger(port) && port > 0 && port < 65_536))
        throw new SandboxError("invalid", "port: expected a whole number from 1 to 65535", {
          field: "port",
        });
      await lifeline.admit();
      const done = uses.begin();
      try {
        const stream = await open(port, signal);
        stream.once("close", done);
        return channel(stream);
      } catch (cause) {
        done();
        throw await lifeline.explain(cause);
      }
    },
  };
}

/** Asks for the port and reads the one byte that says whether somebody listens there. */
async function join(socket: Socket, port: number, signal: AbortSignal | undefined): Promise<void> {
  const abort = (): void => void socket.destroy(cancelledBy(signal));
  signal?.addEventListener("abort", abort);
  const timer = setTimeout(
    () => socket.destroy(new SandboxError("timed-out", "the agent did not answer")),
    joinTimeoutMs,
  );
  try {
    socket.write(`PORT ${port}\n`);
    const status = await firstByte(socket);
    if (status !== joined) throw refusedPort(port);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", abort);
  }
}

function firstByte(socket: Socket): Promise<number> {
  return new Promise((resolve, reject) => {
    const readable = (): void => {
      const chunk: unknown = socket.read(1);
      if (Buffer.isBuffer(chunk)) {
        settle();
        resolve(chunk[0] ?? 1);
      }
    };
    const failed = (cause?: Error): void => {
      settle();
      reject(cause ?? new Error("the connection was closed"));
    };
    const settle = (): void => {
      socket.off("readable", readable);
      socket.off("error", failed);
      socket.off("close", closed);
    };
    const closed = (): void => failed();
    socket.on("readable", readable);
    socket.on("error", failed);
    socket.on("close", closed);
  });
}

/** The error for a port that nobody listens on. */
export function refusedPort(port: number): SandboxError {
  return new SandboxError("unavailable", `nothing listens on port ${port} inside the sandbox`, {
    field: "port",
  });
}

function channel(socket: Duplex): ByteChannel {
  socket.on("error", () => socket.destroy());
  const { readable, writable } = Duplex.toWeb(socket);
  return {
    readable: readable as ReadableStream<Uint8Array>,
    writable,
    [Symbol.asyncDispose](): Promise<void> {
      socket.destroy();
      return Promise.resolve();
    },
  };
}
