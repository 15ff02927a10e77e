import type { IncomingMessage } from "node:http";
import type {
  Command,
  Process,
  ProcessEnd,
  ProcessInfo,
  ProcessOutput,
  TerminalSize,
} from "../core/process.ts";
import { SandboxError } from "../core/errors.ts";
import { parseConnectError } from "../wire/connect-errors.ts";
import { envelopeDecoder } from "../wire/envelopes.ts";
import { asBuffer, asFields, isFields, ownField, parseJson } from "../wire/json.ts";
import { type ProcessEvent, parseProcessEvent, parseProcessList } from "../wire/process-events.ts";
import { Inbox } from "./inbox.ts";
import { type Transport, cancelledBy } from "./transport.ts";

const maxEventBytes = 16 * 1024 * 1024;
const inputChunkBytes = 256 * 1024;

/** How long after its own limit the agent may still have to say that a command is over. Milliseconds. */
const graceMs = 5000;

/** How long after an abort the agent may have to start and to end what was aborted. Milliseconds. */
const abandonAfterMs = 8000;

/** Starts a process; resolves when it has its id. */
export async function startProcess(
  transport: Transport,
  command: Command,
  signal?: AbortSignal,
): Promise<Process> {
  if (signal?.aborted === true) throw cancelledBy(signal);
  const [cmd, ...args] = command.argv;
  const message = {
    process: {
      cmd,
      args,
      envs: command.envs ?? {},
      ...(command.cwd === undefined ? {} : { cwd: command.cwd }),
    },
    stdin: command.stdin ?? false,
    ...(command.pty === undefined ? {} : { pty: { size: command.pty } }),
    ...(command.tag === undefined ? {} : { tag: command.tag }),
  };
  const stream = transport.stream("/process.Process/Start", message, {
    user: command.user,
    deadlineMs: command.timeoutMs,
  });
  const started = listen(transport, stream, { terminal: command.pty !== undefined });
  const process = await (signal === undefined ? started : abandonable(started, signal));
  if (command.timeoutMs) process.limit(command.timeoutMs + graceMs);
  if (signal !== undefined) process.killOn(signal);
  return process;
}

/**
 * Waits for a start also after an abort, because only what has an id can be ended; but not for ever.
 *
 * One that comes later still is ended then.
 */
function abandonable(started: Promise<RemoteProcess>, signal: AbortSignal): Promise<RemoteProcess> {
  return new Promise((resolve, reject) => {
    let timer: NodeJS.Timeout | undefined;
    const abandon = (): void => {
      started.then((late) => late.kill()).catch(() => undefined);
      reject(cancelledBy(signal));
    };
    const abort = (): void => {
      timer = setTimeout(abandon, abandonAfterMs);
    };
    const settle = (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", abort);
    };
    signal.addEventListener("abort", abort, { once: true });
    started.finally(settle).then(resolve, reject);
  });
}

/** Joins a running process. Throws `not-found`. */
export function attachProcess(transport: Transport, pid: number): Promise<Process> {
  const stream = transport.stream("/process.Process/Connect", { process: { pid } });
  return listen(transport, stream, { terminal: undefined });
}

export async function listProcesses(transport: Transport): Promise<readonly ProcessInfo[]> {
  return parseProcessList(await transport.call("/process.Process/List", {}));
}

interface ListenOptions {
  /** Whether it has a terminal; `undefined`: its output will tell. */
  readonly terminal: boolean | undefined;
}

async function listen(
  transport: Transport,
  stream: Promise<IncomingMessage>,
  options: ListenOptions,
): Promise<RemoteProcess> {
  const done = transport.uses.begin();
  try {
    const source = await stream;
    const events = new ProcessStream(source, transport);
    events.over.finally(done).catch(() => undefined);
    const pid = await events.pid;
    return new RemoteProcess(transport, events, { pid, terminal: options.terminal });
  } catch (cause) {
    done();
    throw startError(SandboxError.from(cause));
  }
}

/** An error that names the option which was wrong, where the agent's answer tells. */
function startError(error: SandboxError): SandboxError {
  if (error.code === "unauthenticated" && /user/i.test(error.message)) {
    return new SandboxError("invalid", error.message, { field: "user", cause: error });
  }
  if (error.code === "invalid" && error.field === undefined && error.message.startsWith("cwd ")) {
    return new SandboxError("invalid", error.message, { field: "cwd", cause: error });
  }
  if (error.field === undefined && /^(program '|process\.args)/.test(error.message)) {
    const { code, message } = error;
    return new SandboxError(code, message, { field: "argv", cause: error });
  }
  return error;
}

/** The events of one process stream, sorted. */
class ProcessStream {
  readonly pid: Promise<number>;
  readonly over: Promise<ProcessEnd>;
  readonly output: Inbox<ProcessOutput>;
  sawTerminal = false;
  readonly #source: IncomingMessage;
  readonly #transport: Transport;
  #started: { resolve: (pid: number) => void; reject: (error: SandboxError) => void } | undefined;
  #finish:
    | { resolve: (end: ProcessEnd) => void; reject: (error: SandboxError) => void }
    | undefined;

  constructor(source: IncomingMessage, transport: Transport) {
    this.#source = source;
    this.#transport = transport;
    this.output = new Inbox(source);
    this.pid = new Promise((resolve, reject) => {
      this.#started = { resolve, reject };
    });
    this.over = new Promise((resolve, reject) => {
      this.#finish = { resolve, reject };
    });
    this.pid.catch(() => undefined);
    this.over.catch(() => undefined);
    this.#listen();
  }

  /** Ends the stream here; the process is not told. */
  leave(end: ProcessEnd | SandboxError): void {
    this.#settle(end);
    this.output.drop();
    this.#source.destroy();
  }

  #listen(): void {
    const source = this.#source;
    const decoder = envelopeDecoder(maxEventBytes);
    source.on("data", (chunk: Buffer) => {
      try {
        for (const { last, payload } of decoder.push(chunk)) {
          if (last) this.#last(parseJson(payload));
          else this.#take(parseProcessEvent(parseJson(payload)), payload.length);
        }
      } catch (cause) {
        this.#fail(SandboxError.from(cause));
        source.destroy();
      }
    });
    source.on("end", () =>
      this.#fail(
        new SandboxError("untrusted", "the sandbox ended a process's stream without its end"),
      ),
    );
    source.on("error", (cause) => void this.#cut(cause));
  }

  #take(event: ProcessEvent, bytes: number): void {
    if (event.kind === "output") {
      if (event.output.stream === "pty") this.sawTerminal = true;
      this.output.put(event.output, bytes);
    } else if (event.kind === "start") this.#started?.resolve(event.pid);
    else if (event.kind === "end") this.#settle(event.end);
  }

  #last(value: unknown): void {
    const error = isFields(value) ? ownField(value, "error") : undefined;
    if (error === undefined)
      return this.#fail(new SandboxError("untrusted", "the sandbox told no end of a process"));
    const told = parseConnectError(asFields(error, "error"));
    this.#started?.reject(told);
    if (told.code === "timed-out") this.#settle(timedOut);
    else this.#fail(told);
  }

  async #cut(cause: Error): Promise<void> {
    const error = await this.#transport.lifeline.explain(cause);
    this.#started?.reject(error);
    if (error.code === "lost") this.#settle(machineEnded(error));
    else this.#fail(error);
  }

  #settle(end: ProcessEnd | SandboxError): void {
    if (end instanceof SandboxError) return this.#fail(end);
    this.#started?.reject(
      new SandboxError("internal", end.message ?? "the process ended before it began"),
    );
    this.#finish?.resolve(end);
    this.output.close();
  }

  /** Only the first settlement counts, so that what follows a proper end changes nothing. */
  #fail(error: SandboxError): void {
    this.#started?.reject(error);
    this.#finish?.reject(error);
    this.output.close(error);
  }
}

const timedOut: ProcessEnd = {
  exitCode: 137,
  reason: "timed-out",
  signal: "SIGKILL",
  message: undefined,
};

function machineEnded(error: SandboxError): ProcessEnd {
  return { exitCode: 137, reason: "machine-ended", signal: "SIGKILL", message: error.message };
}

class RemoteProcess implements Process {
  readonly pid: number;
  readonly end: Promise<ProcessEnd>;
  readonly output: AsyncIterable<ProcessOutput>;
  readonly #transport: Transport;
  readonly #events: ProcessStream;
  readonly #terminal: boolean | undefined;
  #lastWrite: Promise<void> = Promise.resolve();

  constructor(
    transport: Transport,
    events: ProcessStream,
    known: { pid: number; terminal: boolean | undefined },
  ) {
    this.pid = known.pid;
    this.#transport = transport;
    this.#events = events;
    this.#terminal = known.terminal;
    this.end = events.over;
    this.output = outputOf(events.output);
  }

  /** Counts the process as timed out when the agent has not told its end this long from now. Milliseconds. */
  limit(milliseconds: number): void {
    const timer = setTimeout(
      () => {
        this.#events.leave(timedOut);
        this.kill().catch(() => undefined);
      },
      Math.min(milliseconds, 2_147_483_647),
    );
    timer.unref();
    const clear = (): void => clearTimeout(timer);
    this.end.then(clear, clear);
  }

  /** Kills the process tree when the signal aborts. */
  killOn(signal: AbortSignal): void {
    const abort = (): void => {
      const late = setTimeout(() => this.#events.leave(cancelledBy(signal)), abandonAfterMs);
      const over = (): void => clearTimeout(late);
      this.end.then(over, over);
      this.kill().catch((cause: unknown) => this.#events.leave(SandboxError.from(cause)));
    };
    if (signal.aborted) return abort();
    signal.addEventListener("abort", abort, { once: true });
    const forget = (): void => signal.removeEventListener("abort", abort);
    this.end.then(forget, forget);
  }

  write(data: Uint8Array): Promise<void> {
    const sent = this.#lastWrite.then(() => this.#send(data));
    this.#lastWrite = sent.catch(() => undefined);
    return sent;
  }

  async closeStdin(): Promise<void> {
    await this.#lastWrite;
    await this.#call("CloseStdin", {});
  }

  async resize({ cols, rows }: TerminalSize): Promise<void> {
    await this.#call("Update", { pty: { size: { cols, rows } } });
  }

  async kill(signal: "SIGKILL" | "SIGTERM" | "SIGINT" = "SIGKILL"): Promise<boolean> {
    try {
      await this.#call("SendSignal", { signal: `SIGNAL_${signal}` });
      return true;
    } catch (cause) {
      if (cause instanceof SandboxError && cause.code === "not-found") return false;
      throw cause;
    }
  }

  detach(): void {
    this.#events.leave(new SandboxError("cancelled", "nobody listens to this process any more"));
  }

  async #send(data: Uint8Array): Promise<void> {
    const terminal = this.#terminal ?? this.#events.sawTerminal;
    for (let from = 0; from < data.length; from += inputChunkBytes) {
      const text = asBuffer(data.subarray(from, from + inputChunkBytes)).toString("base64");
      await this.#call("SendInput", { input: terminal ? { pty: text } : { stdin: text } });
    }
  }

  #call(method: string, fields: Readonly<Record<string, unknown>>): Promise<unknown> {
    return this.#transport.call(`/process.Process/${method}`, {
      process: { pid: this.pid },
      ...fields,
    });
  }
}

/** What waits in an inbox, for one reader. Leaving the loop drops the rest. */
function outputOf(waiting: Inbox<ProcessOutput>): AsyncIterable<ProcessOutput> {
  return {
    [Symbol.asyncIterator]: () => ({
      async next(): Promise<IteratorResult<ProcessOutput, undefined>> {
        const value = await waiting.take();
        return value === undefined ? { done: true, value: undefined } : { done: false, value };
      },
      return(): Promise<IteratorResult<ProcessOutput, undefined>> {
        waiting.drop();
        return Promise.resolve({ done: true, value: undefined });
      },
    }),
  };
}
