import type { Socket } from "node:net";
import type { EndReason } from "../core/driver.ts";
import { SandboxError } from "../core/errors.ts";
import { lineDecoder } from "../wire/lines.ts";
import { type Fields, parseJson } from "../wire/json.ts";
import type { Dial } from "./access.ts";
import {
  type ControlInfo,
  type ControlMetrics,
  parseControlInfo,
  parseControlLine,
  parseControlMetrics,
} from "./control-messages.ts";

const maxLineBytes = 1024 * 1024;

/** A connection to a machine's supervisor. It does not keep the process alive but while an answer is awaited. */
export interface ControlChannel {
  /** Resolves once the machine has ended: with the reason, or `undefined` when the channel broke without one. */
  readonly ended: Promise<EndReason | undefined>;
  info(): Promise<ControlInfo>;
  /** Makes this connection the owner's: the machine ends when it closes, unless the machine is detached. */
  own(): Promise<void>;
  /** Ends the machine this long from now. Milliseconds. */
  setLifetime(lifetimeMs: number): Promise<void>;
  metrics(): Promise<ControlMetrics>;
  /** Ends the machine; resolves when nothing is left of it. A machine that is already gone is no error. */
  kill(): Promise<void>;
  /** Says that uses begin (`true`) or are over (`false`) on this connection. Not answered. */
  setBusy(busy: boolean): void;
  /** Closes the connection; an owned machine that is not detached ends by it. */
  close(): void;
}

interface Waiting {
  readonly resolve: (answer: Fields) => void;
  readonly reject: (error: SandboxError) => void;
}

/** Opens a control channel. Throws `lost` when nobody answers at the machine's socket. */
export async function controlChannel(dial: Dial): Promise<ControlChannel> {
  const socket = dial();
  await connected(socket);
  const waiting = new Map<number, Waiting>();
  let nextId = 1;
  let open = true;
  const ended = new Promise<EndReason | undefined>((resolve) => {
    let reason: EndReason | undefined;
    const close = (): void => {
      open = false;
      for (const { reject } of waiting.values()) reject(gone());
      waiting.clear();
      resolve(reason);
    };
    const lines = lineDecoder(maxLineBytes);
    socket.on("data", (chunk: Buffer) => {
      try {
        for (const line of lines.push(chunk)) reason = received(line) ?? reason;
      } catch (cause) {
        socket.destroy(SandboxError.from(cause));
      }
    });
    socket.on("error", () => socket.destroy());
    socket.on("close", close);
  });
  socket.write("CONTROL\n");
  socket.unref();

  /** Hands an answer to who waits for it; returns the reason when the line says that the machine has ended. */
  function received(line: Uint8Array): EndReason | undefined {
    const message = parseControlLine(parseJson(line));
    if (message.kind === "ended") return message.reason;
    const waiter = waiting.get(message.id);
    waiting.delete(message.id);
    if (waiting.size === 0) socket.unref();
    if (message.kind === "answer") waiter?.resolve(message.fields);
    else waiter?.reject(message.error);
    return undefined;
  }

  function ask(op: string, fields: Fields = {}): Promise<Fields> {
    if (!open) return Promise.reject(gone());
    const id = nextId++;
    return new Promise((resolve, reject) => {
      waiting.set(id, { resolve, reject });
      socket.ref();
      socket.write(`${JSON.stringify({ id, op, ...fields })}\n`);
    });
  }

  return {
    ended,
    info: async () => parseControlInfo(await ask("info")),
    own: async () => void (await ask("own")),
    setLifetime: async (lifetimeMs) => void (await ask("lifetime", { ms: lifetimeMs })),
    metrics: async () => parseControlMetrics(await ask("metrics")),
    kill: () => killed(ask("kill"), ended),
    setBusy(busy) {
      if (open) socket.write(`{"id":0,"op":"${busy ? "busy" : "idle"}"}\n`);
    },
    close() {
      socket.destroy();
    },
  };
}

/** A kill is done when it was answered, and as well when the supervisor closed the channel because it is done. */
async function killed(answer: Promise<Fields>, ended: Promise<unknown>): Promise<void> {
  try {
    await answer;
  } catch (cause) {
    const error = SandboxError.from(cause);
    if (error.code !== "lost") throw error;
    await ended;
  }
}

function connected(socket: Socket): Promise<void> {
  if (!socket.connecting) return Promise.resolve();
  return new Promise((resolve, reject) => {
    const refused = (cause: Error): void => reject(gone(cause));
    socket.once("error", refused);
    socket.once("connect", () => {
      socket.off("error", refused);
      resolve();
    });
  });
}

function gone(cause?: Error): SandboxError {
  return new SandboxError("lost", "the sandbox is gone: its supervisor does not answer", { cause });
}
