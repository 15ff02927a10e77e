import type { Socket } from "node:net";
import type { EndReason } from "../core/driver.ts";
import { SandboxError } from "../core/errors.ts";
import type { Kept } from "../core/kept.ts";
import { lineDecoder } from "../wire/lines.ts";
import { type Fields, parseJson } from "../wire/json.ts";
import type { Dial } from "./access.ts";
import {
  type ControlInfo,
  type CopiedDisk,
  type ControlMetrics,
  parseControlInfo,
  parseControlLine,
  parseControlMetrics,
  parseCopiedDisk,
} from "./control-messages.ts";

const maxLineBytes = 1024 * 1024;

/** A connection to a machine's supervisor. It does not keep the process alive but while an answer is awaited. */
export interface ControlChannel {
  /** Resolves once the machine has ended: with the reason, or `undefined` when the channel broke without one. */
  readonly ended: Promise<EndReason | undefined>;
  /** What the supervisor has said last; running until it says otherwise. */
  readonly state: "running" | "paused";
  info(): Promise<ControlInfo>;
  /** Resolves when it is done. Throws `conflict` for a machine that is not running. */
  pause(kept: Kept): Promise<void>;
  /** Throws `conflict` for a machine that is not paused, `untrusted` when what was kept has changed. */
  resume(lifetimeMs: number): Promise<void>;
  /** Makes this connection the owner's: the machine ends when it closes, unless the machine is detached. */
  own(): Promise<void>;
  /** Ends the machine this long from now. Milliseconds. */
  setLifetime(lifetimeMs: number): Promise<void>;
  metrics(): Promise<ControlMetrics>;
  /** Copies the disk, and the memory where that is kept, while the machine stands still, into a directory beside the snapshots. */
  copyDisk(directory: string, kept: Kept): Promise<CopiedDisk>;
  /** Ends the machine; resolves when nothing is left of it. A machine that is already gone is no error. */
  kill(): Promise<void>;
  /** Says that uses begin (`true`) or are over (`false`) on this connection. Not answered. */
  setBusy(busy: boolean): void;
  /** Closes the connection; an owned machine that is not detached ends by it. */
  close(): void;
}

/** Opens a control channel. Throws `lost` when nobody answers at the machine's socket. */
export async function controlChannel(dial: Dial): Promise<ControlChannel> {
  const socket = dial();
  await connected(socket);
  const conversation = new Conversation(socket);
  return {
    ended: conversation.ended,
    get state() {
      return conversation.state;
    },
    info: () => conversation.info(),
    pause: (kept) => conversation.pause(kept),
    resume: async (lifetimeMs) =>
      void (await conversation.ask("resume", { ms: Math.round(lifetimeMs) })),
    own: async () => void (await conversation.ask("own")),
    setLifetime: async (lifetimeMs) =>
      void (await conversation.ask("lifetime", { ms: Math.round(lifetimeMs) })),
    metrics: async () => parseControlMetrics(await conversation.ask("metrics")),
    copyDisk: async (directory, kept) =>
      parseCopiedDisk(await conversation.ask("snapshot", { directory, kept })),
    kill: () => conversation.kill(),
    setBusy: (busy) => conversation.tell(busy ? "busy" : "idle"),
    close: () => conversation.close(),
  };
}

interface Waiting {
  readonly resolve: (answer: Fields) => void;
  readonly reject: (error: SandboxError) => void;
}

/** Questions and answers on one control connection. */
class Conversation {
  readonly ended: Promise<EndReason | undefined>;
  state: "running" | "paused" = "running";
  readonly #socket: Socket;
  readonly #waiting: Map<number, Waiting> = new Map();
  #lastId = 0;
  /** Pauses under way, and what is to be told when they are over. */
  #pauses = 0;
  #untold: "busy" | "idle" | undefined;
  readonly #closed: Promise<void>;
  #open = true;

  constructor(socket: Socket) {
    this.#socket = socket;
    this.#closed = new Promise((resolve) => {
      socket.once("close", () => resolve());
    });
    this.ended = new Promise((resolve) => {
      const lines = lineDecoder(maxLineBytes);
      socket.on("data", (chunk: Buffer) => {
        try {
          for (const line of lines.push(chunk)) this.#receive(line, resolve);
        } catch (cause) {
          socket.destroy(SandboxError.from(cause));
        }
      });
      socket.on("error", () => socket.destroy());
      socket.on("close", () => {
        this.#stop();
        resolve(undefined);
      });
    });
    socket.write("CONTROL\n");
    socket.unref();
  }

  ask(op: string, fields: Fields = {}): Promise<Fields> {
    if (!this.#open) return Promise.reject(gone());
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#socket.ref();
      this.#socket.write(`${JSON.stringify({ ...fields, id, op })}\n`);
    });
  }

  async info(): Promise<ControlInfo> {
    const told = parseControlInfo(await this.ask("info"));
    this.state = told.state;
    return told;
  }

  /** A supervisor that is about to go must not be written to: the failure would come before its last words. */
  tell(op: "busy" | "idle"): void {
    if (this.#pauses > 0) this.#untold = op;
    else if (this.#open && this.state === "running") this.#socket.write(`{"id":0,"op":"${op}"}\n`);
  }

  /** A machine that has no supervisor from here on is paused when that has gone. */
  async pause(kept: Kept): Promise<void> {
    this.#pauses += 1;
    try {
      const { rests } = await this.ask("pause", { kept });
      if (rests !== true) return;
      this.#socket.ref();
      await this.#closed;
    } finally {
      this.#pauses -= 1;
      this.#tellUntold();
    }
  }

  #tellUntold(): void {
    const op = this.#untold;
    if (op === undefined || this.#pauses > 0) return;
    this.#untold = undefined;
    this.tell(op);
  }

  /** A kill is done when the supervisor, having answered, has closed the connection by exiting. */
  async kill(): Promise<void> {
    try {
      await this.ask("kill");
    } catch (cause) {
      const error = SandboxError.from(cause);
      if (error.code !== "lost") throw error;
    }
    this.#socket.ref();
    await this.#closed;
  }

  close(): void {
    this.#socket.destroy();
  }

  #receive(line: Uint8Array, end: (reason: EndReason) => void): void {
    const message = parseControlLine(parseJson(line));
    if (message.kind === "ended") return end(message.reason);
    if (message.kind === "state") {
      this.state = message.state;
      return undefined;
    }
    const waiter = this.#waiting.get(message.id);
    this.#waiting.delete(message.id);
    if (this.#waiting.size === 0) this.#socket.unref();
    if (message.kind === "answer") waiter?.resolve(message.fields);
    else waiter?.reject(message.error);
  }

  #stop(): void {
    this.#open = false;
    for (const { reject } of this.#waiting.values()) reject(gone());
    this.#waiting.clear();
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
