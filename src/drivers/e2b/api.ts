import { type IncomingMessage, Agent as HttpAgent, request as httpRequest } from "node:http";
import { Agent as HttpsAgent, type AgentOptions, request as httpsRequest } from "node:https";
import type { z } from "zod";
import { SandboxError } from "../../core/errors.ts";
import { cancelled, notAborted } from "../../core/validate.ts";
import type { Attempt, Call, ServiceAnswer } from "./call.ts";
import { malformedAnswer, serviceFailure, unreachable } from "./failures.ts";
import type { Settings } from "./options.ts";
import { mayComeLater, patience } from "./patience.ts";

/** The service's control plane. */
export interface Api {
  readonly origin: string;
  /**
   * Throws what the service refused it for, `unavailable` where it cannot be reached, `untrusted` for nonsense,
   * `timed-out`, `cancelled`. Asks again what is safe to be asked again.
   */
  ask(call: Call): Promise<ServiceAnswer>;
  /** `ask`, and the body as the schema has it. */
  read<T>(call: Call, schema: z.ZodType<T>, what: string): Promise<T>;
}

const maxBodyBytes = 16 * 1024 * 1024;
const maxHeadBytes = 32_768;
/** Shorter than services keep a connection that nobody uses. Milliseconds. */
const restMs = 20_000;

export function serviceApi(settings: Settings): Api {
  const { apiUrl, requestTimeoutMs, ca } = settings;
  const trusted = ca === undefined ? {} : { ca };
  const pooling = { keepAlive: true, scheduling: "lifo", timeout: restMs, ...trusted } as const;
  const connections = {
    calls: agentOf(apiUrl, { ...pooling, maxSockets: 32 }),
    waits: agentOf(apiUrl, { ...pooling, maxSockets: 4096 }),
  };
  const ask = async (call: Call): Promise<ServiceAnswer> => {
    notAborted(call.signal);
    const waiting = patience(call.timeoutMs ?? requestTimeoutMs);
    for (;;) {
      const attempt = await once(settings, connections, call);
      if (attempt.answer !== undefined) return attempt.answer;
      const delayMs = mayComeLater(call, attempt) ? waiting.next(attempt.retryAfterMs) : undefined;
      if (delayMs === undefined) throw attempt.error;
      await pause(delayMs, call);
    }
  };
  return {
    origin: apiUrl.origin,
    ask,
    async read(call, schema, what) {
      const { body } = await ask(call);
      const parsed = schema.safeParse(body);
      if (parsed.success) return parsed.data;
      throw malformedAnswer(what, parsed.error);
    },
  };
}

function agentOf(url: URL, options: AgentOptions): HttpAgent {
  return url.protocol === "https:" ? new HttpsAgent(options) : new HttpAgent(options);
}

interface Connections {
  readonly calls: HttpAgent;
  readonly waits: HttpAgent;
}

async function once(settings: Settings, connections: Connections, call: Call): Promise<Attempt> {
  const sending = send(settings, connections, call);
  try {
    const answer = await sending.answer;
    const body = await bodyOf(answer);
    const status = answer.statusCode ?? 0;
    if (status >= 200 && status < 300)
      return { answer: { status, body: jsonOf(body), nextToken: tokenIn(answer) } };
    const error = serviceFailure(status, jsonOrNothing(body));
    return { answer: undefined, error, wasSent: true, status, retryAfterMs: retryAfter(answer) };
  } catch (cause) {
    const error =
      cause instanceof SandboxError ? cause : unreachable(settings.apiUrl.origin, cause);
    const { wasSent } = sending;
    return { answer: undefined, error, wasSent, status: undefined, retryAfterMs: undefined };
  } finally {
    sending.settle();
  }
}

interface Sending {
  readonly answer: Promise<IncomingMessage>;
  /** Whether the service may have heard it. */
  readonly wasSent: boolean;
  readonly settle: () => void;
}

function send(settings: Settings, { calls, waits }: Connections, call: Call): Sending {
  const { apiUrl, apiKey = "", requestTimeoutMs } = settings;
  const { signal, timeoutMs = requestTimeoutMs } = call;
  const body = call.body === undefined ? undefined : Buffer.from(JSON.stringify(call.body));
  const sent = (apiUrl.protocol === "https:" ? httpsRequest : httpRequest)({
    hostname: apiUrl.hostname.replace(/^\[(.*)\]$/, "$1"),
    port: apiUrl.port,
    method: call.method,
    path: `${apiUrl.pathname.replace(/\/+$/, "")}${call.path}`,
    headers: {
      "x-api-key": apiKey,
      accept: "application/json",
      "user-agent": "cofferdam",
      ...(body === undefined
        ? {}
        : { "content-type": "application/json", "content-length": body.length }),
    },
    agent: call.waits === true ? waits : calls,
    maxHeaderSize: maxHeadBytes,
  });
  let wasSent = false;
  const answer = new Promise<IncomingMessage>((resolve, reject) => {
    sent.on("response", resolve);
    sent.on("error", reject);
  });
  answer.catch(() => undefined);
  sent.on("socket", (socket) => {
    if (call.waits === true) socket.unref();
    if (!socket.connecting) wasSent = true;
    else socket.once("connect", () => (wasSent = true));
  });
  const abort = (): void => void sent.destroy(signal === undefined ? undefined : cancelled(signal));
  const late = (): void => void sent.destroy(noAnswer(timeoutMs));
  const timer = setTimeout(late, timeoutMs);
  if (call.waits === true) timer.unref();
  signal?.addEventListener("abort", abort);
  sent.end(body);
  return {
    answer,
    get wasSent() {
      return wasSent;
    },
    settle() {
      clearTimeout(timer);
      signal?.removeEventListener("abort", abort);
    },
  };
}

function noAnswer(timeoutMs: number): SandboxError {
  return new SandboxError("timed-out", `the service did not answer within ${timeoutMs} ms`, {
    mend: "try again later, or give it a longer requestTimeoutMs",
  });
}

/** The whole body, bounded. */
async function bodyOf(answer: IncomingMessage): Promise<Buffer> {
  const pieces: Buffer[] = [];
  let length = 0;
  for await (const piece of answer) {
    if (!Buffer.isBuffer(piece)) continue;
    length += piece.length;
    if (length > maxBodyBytes) {
      answer.destroy();
      throw malformedAnswer(`answer of more than ${maxBodyBytes} bytes`);
    }
    pieces.push(piece);
  }
  return Buffer.concat(pieces);
}

function jsonOf(body: Buffer): unknown {
  if (body.length === 0) return undefined;
  try {
    return JSON.parse(body.toString("utf8"));
  } catch (cause) {
    throw malformedAnswer("answer, which is not JSON", cause);
  }
}

function jsonOrNothing(body: Buffer): unknown {
  try {
    return jsonOf(body);
  } catch (cause) {
    if (SandboxError.from(cause).code === "untrusted") return undefined;
    throw cause;
  }
}

function tokenIn({ headers }: IncomingMessage): string | undefined {
  const token = headers["x-next-token"];
  return typeof token === "string" && /^[\u0021-\u007e]{1,4096}$/.test(token) ? token : undefined;
}

function retryAfter({ headers }: IncomingMessage): number | undefined {
  const told = headers["retry-after"];
  return told !== undefined && /^\d{1,6}$/.test(told) ? Number(told) * 1000 : undefined;
}

function pause(delayMs: number, { signal, waits = false }: Call): Promise<void> {
  return new Promise((resolve, reject) => {
    const abort = (): void => {
      clearTimeout(timer);
      if (signal !== undefined) reject(cancelled(signal));
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", abort);
      resolve();
    }, delayMs);
    if (waits) timer.unref();
    signal?.addEventListener("abort", abort, { once: true });
  });
}
