import { Agent, type ClientRequest, type IncomingMessage, request } from "node:http";
import type { Duplex } from "node:stream";
import { SandboxError } from "../core/errors.ts";
import { boundedBuffer } from "../wire/bounded-buffer.ts";
import { parseConnectError } from "../wire/connect-errors.ts";
import { encodeEnvelope } from "../wire/envelopes.ts";
import { parseJson } from "../wire/json.ts";
import type { Way } from "./access.ts";
import type { Lifeline } from "./lifeline.ts";
import type { Uses } from "./uses.ts";

const maxAnswerBytes = 16 * 1024 * 1024;
const maxErrorBytes = 64 * 1024;
const callTimeoutMs = 60_000;

/** How long the text of a refusal may take after its head. Milliseconds. */
const refusalTimeoutMs = 8000;

/** Informational answers before the answer. */
const maxPromises = 8;

/** A request to the agent. */
export interface Ask {
  readonly method: "GET" | "POST" | "DELETE";
  readonly path: string;
  readonly headers?: Readonly<Record<string, string | number>>;
  /** What is sent after the head: bytes, or something that writes and ends the request. */
  readonly body?: Uint8Array | ((request: ClientRequest) => void);
  readonly signal?: AbortSignal | undefined;
  /** Gives up when no head of an answer came in this time. Milliseconds; 0: never; default 60,000. */
  readonly timeoutMs?: number;
  /** Whether it is one of the many that may last: a stream of its own pool. */
  readonly lasting?: boolean;
}

/** HTTP to a machine's agent, over pooled connections. */
export interface Transport {
  /** Answers with the head; the body is still to be read, and pauses until then. Throws what the agent refused it for. */
  ask(ask: Ask): Promise<IncomingMessage>;
  /** A unary Connect call. */
  call(procedure: string, message: unknown, options?: CallOptions): Promise<unknown>;
  /** A server-streaming Connect call. */
  stream(procedure: string, message: unknown, options?: StreamOptions): Promise<IncomingMessage>;
  readonly lifeline: Lifeline;
  readonly uses: Uses;
  close(): void;
}

export interface CallOptions {
  readonly user?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface StreamOptions extends CallOptions {
  /** The agent's own limit for the stream. Milliseconds; 0 or absent: none. */
  readonly deadlineMs?: number | undefined;
}

/** A pool of connections of a way. */
class WayAgent extends Agent {
  readonly #way: Way;

  constructor(way: Way, maxSockets: number) {
    const { restMs: timeout } = way;
    const limit = timeout === undefined ? {} : { timeout };
    super({ keepAlive: true, maxSockets, maxFreeSockets: 8, scheduling: "lifo", ...limit });
    this.#way = way;
  }

  override createConnection(): Duplex {
    return this.#way.connect();
  }
}

export function transport(way: Way, lifeline: Lifeline, uses: Uses): Transport {
  const calls = new WayAgent(way, 32);
  const streams = new WayAgent(way, 4096);

  async function ask({ path, headers, ...wanted }: Ask): Promise<IncomingMessage> {
    await lifeline.admit();
    const agent = wanted.lasting === true ? streams : calls;
    const told = { ...headers, ...way.headers };
    const whole = { ...wanted, path: `${way.prefix}${path}`, headers: told };
    const answer = await head(agent, whole, lifeline);
    const status = answer.statusCode ?? 0;
    if (status >= 200 && status < 300) return answer;
    throw await lifeline.explain(await refusal(answer, status, lifeline));
  }

  return {
    ask,
    lifeline,
    uses,
    async call(procedure, message, options = {}) {
      const done = uses.begin();
      try {
        const body = Buffer.from(JSON.stringify(message));
        const headers = {
          ...unaryHeaders,
          ...userHeader(options.user),
          "content-length": body.length,
        };
        const answer = await ask({
          method: "POST",
          path: procedure,
          headers,
          body,
          signal: options.signal,
        });
        return parseJson(await readAnswer(answer, lifeline, options.signal));
      } finally {
        done();
      }
    },
    stream: (procedure, message, options = {}) => ask(streamAsk(procedure, message, options)),
    close() {
      calls.destroy();
      streams.destroy();
    },
  };
}

function streamAsk(procedure: string, message: unknown, options: StreamOptions): Ask {
  const body = encodeEnvelope(message);
  const headers = {
    ...streamHeaders,
    ...userHeader(options.user),
    ...(options.deadlineMs ? { "connect-timeout-ms": Math.ceil(options.deadlineMs) } : {}),
    "content-length": body.length,
  };
  return { method: "POST", path: procedure, headers, body, signal: options.signal, lasting: true };
}

const unaryHeaders = { "content-type": "application/json", "connect-protocol-version": "1" };
const streamHeaders = {
  "content-type": "application/connect+json",
  "connect-protocol-version": "1",
  "keepalive-ping-interval": "50",
};

function userHeader(user: string | undefined): Readonly<Record<string, string>> {
  return user === undefined
    ? {}
    : { authorization: `Basic ${Buffer.from(`${user}:`).toString("base64")}` };
}

/** Sends a request and resolves with the head of its answer. */
function head(agent: Agent, ask: Ask, lifeline: Lifeline): Promise<IncomingMessage> {
  const { signal, timeoutMs = callTimeoutMs } = ask;
  if (signal?.aborted === true) return Promise.reject(cancelledBy(signal));
  return new Promise((resolve, reject) => {
    const sent = request({
      agent,
      host: "localhost",
      method: ask.method,
      path: ask.path,
      headers: ask.headers,
      maxHeaderSize: 32_768,
    });
    const timer =
      timeoutMs === 0 ? undefined : setTimeout(() => sent.destroy(noAnswer(timeoutMs)), timeoutMs);
    const abort = (): void => void sent.destroy(cancelledBy(signal));
    const settle = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", abort);
    };
    signal?.addEventListener("abort", abort);
    sent.on("response", (answer) => {
      settle();
      resolve(answer);
    });
    sent.on("error", (cause) => {
      settle();
      lifeline.explain(cause).then(reject, reject);
    });
    refuseDetours(sent, (error) => {
      settle();
      reject(error);
    });
    if (typeof ask.body === "function") ask.body(sent);
    else sent.end(ask.body);
  });
}

/** An agent answers with an answer: never by another protocol, nor with endless promises of one. */
function refuseDetours(sent: ClientRequest, refuse: (error: SandboxError) => void): void {
  let promises = 0;
  const end = (message: string): void => {
    refuse(new SandboxError("untrusted", message));
    sent.destroy();
  };
  sent.on("upgrade", (_answer, socket) => {
    socket.destroy();
    end("the sandbox switched protocols, unasked");
  });
  sent.on("information", () => {
    promises += 1;
    if (promises > maxPromises) end("the sandbox promises an answer again and again");
  });
}

/** The body of a short answer. One that does not come to its end in time, or whose caller aborts, is cut off. */
export async function readAnswer(
  answer: IncomingMessage,
  lifeline: Lifeline,
  signal: AbortSignal | undefined,
): Promise<Uint8Array> {
  const timer = setTimeout(() => answer.destroy(noAnswer(callTimeoutMs)), callTimeoutMs);
  const abort = (): void => void answer.destroy(cancelledBy(signal));
  signal?.addEventListener("abort", abort);
  if (signal?.aborted === true) abort();
  try {
    return await readAll(answer, maxAnswerBytes, lifeline);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", abort);
  }
}

export function cancelledBy(signal: AbortSignal | undefined): SandboxError {
  return new SandboxError("cancelled", "the caller cancelled it", { cause: signal?.reason });
}

function noAnswer(timeoutMs: number): SandboxError {
  return new SandboxError("timed-out", `the agent did not answer within ${timeoutMs} ms`);
}

async function refusal(
  answer: IncomingMessage,
  status: number,
  lifeline: Lifeline,
): Promise<SandboxError> {
  const timer = setTimeout(() => answer.destroy(noAnswer(refusalTimeoutMs)), refusalTimeoutMs);
  const body = await readAll(answer, maxErrorBytes, lifeline).finally(() => clearTimeout(timer));
  return parseConnectError(jsonOrNothing(body), status);
}

/** The body of a refusal may be anything; what is not JSON says nothing. */
function jsonOrNothing(body: Uint8Array): unknown {
  try {
    return parseJson(body);
  } catch (cause) {
    if (cause instanceof SandboxError && cause.code === "untrusted") return undefined;
    throw cause;
  }
}

/** A whole body of at most `maxBytes`. Throws `untrusted` for a longer one. */
export function readAll(
  answer: IncomingMessage,
  maxBytes: number,
  lifeline: Lifeline,
): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const body = boundedBuffer(maxBytes, "answer");
    answer.on("data", (chunk: Buffer) => {
      try {
        body.append(chunk);
      } catch (cause) {
        answer.destroy(SandboxError.from(cause));
      }
    });
    answer.on("end", () => resolve(body.take()));
    answer.on("error", (cause) => {
      lifeline.explain(cause).then(reject, reject);
    });
  });
}
