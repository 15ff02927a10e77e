import { type IncomingMessage, request } from "node:http";
import type { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { SandboxError } from "../../core/errors.ts";
import { notAborted } from "../../core/validate.ts";
import { engineRefusal } from "./refusals.ts";

/** What an Engine answers is bounded like anybody's. */
const maxAnswerBytes = 16 * 1024 * 1024;
const usualPatienceMs = 30_000;
/** How long an answer may come after the connection was closed for more. */
const lateMs = 500;

/** A question to an Engine. */
export interface EngineCall {
  readonly method: "GET" | "HEAD" | "POST" | "PUT" | "DELETE";
  /** Below the version of the API. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  /** Sent as JSON. */
  readonly body?: unknown;
  /** Sent as it comes, as a tar archive. */
  readonly archive?: Readable;
  readonly signal?: AbortSignal | undefined;
  /** How long the answer may take. Milliseconds; default 30,000. */
  readonly patienceMs?: number;
}

export interface EngineAnswer {
  readonly status: number;
  readonly text: string;
}

/** Where an Engine is asked; `api` is empty, or begins with a slash. */
export interface EnginePlace {
  readonly socket: string;
  readonly api: string;
}

/** Asks, and answers whatever status comes. Throws `unavailable`, `denied`, `untrusted`, `timed-out`, `cancelled`. */
export async function askEngine(place: EnginePlace, call: EngineCall): Promise<EngineAnswer> {
  const { signal, patienceMs = usualPatienceMs } = call;
  notAborted(signal);
  const over = new AbortController();
  const abort = (): void => over.abort();
  signal?.addEventListener("abort", abort, { once: true });
  const timer = setTimeout(abort, patienceMs);
  try {
    const answer = await exchange(place, call, over.signal);
    return { status: answer.statusCode ?? 0, text: await bounded(answer) };
  } catch (cause) {
    if (cause instanceof SandboxError) throw cause;
    notAborted(signal);
    if (over.signal.aborted)
      throw new SandboxError("timed-out", `the Engine at ${place.socket} did not answer`, {
        cause,
        mend: "see whether it is stuck: docker info",
      });
    throw unreachable(place.socket, cause);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", abort);
  }
}

/** Asks, and throws what the Engine refused it for. */
export async function tellEngine(place: EnginePlace, call: EngineCall): Promise<string> {
  const { status, text } = await askEngine(place, call);
  if (status >= 200 && status < 300) return text;
  throw engineRefusal(status, text);
}

function exchange(
  { socket, api }: EnginePlace,
  call: EngineCall,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  const { method, path, query, body, archive } = call;
  const search = query === undefined ? "" : `?${new URLSearchParams(query).toString()}`;
  const json = body === undefined ? undefined : JSON.stringify(body);
  return new Promise((resolve, reject) => {
    const sent = request({
      socketPath: socket,
      method,
      path: `${api}${path}${search}`,
      headers: {
        host: "engine",
        ...(json === undefined
          ? {}
          : { "content-type": "application/json", "content-length": Buffer.byteLength(json) }),
        ...(archive === undefined ? {} : { "content-type": "application/x-tar" }),
      },
      agent: false,
      signal,
    });
    sent.on("response", resolve);
    sent.on("error", reject);
    if (archive === undefined) sent.end(json);
    // An Engine that refuses answers early, and closes the connection beneath the archive: then the answer counts.
    else pipeline(archive, sent).catch((cause: unknown) => setTimeout(reject, lateMs, cause));
  });
}

async function bounded(answer: IncomingMessage): Promise<string> {
  const pieces: Buffer[] = [];
  let bytes = 0;
  const body: AsyncIterable<Buffer> = answer;
  for await (const chunk of body) {
    bytes += chunk.length;
    if (bytes > maxAnswerBytes)
      throw new SandboxError("untrusted", "the Engine's answer is longer than any of an Engine's");
    pieces.push(chunk);
  }
  return Buffer.concat(pieces).toString("utf8");
}

function unreachable(socket: string, cause: unknown): SandboxError {
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
  if (code === "EACCES" || code === "EPERM")
    return new SandboxError("denied", `this user may not open the Engine's socket ${socket}`, {
      cause,
      mend: "run it as root, or as a member of the socket's group",
    });
  if (code.startsWith("HPE_"))
    return new SandboxError("untrusted", `what listens at ${socket} does not speak HTTP`, {
      cause,
      mend: "give the socket of a Docker Engine",
    });
  return new SandboxError("unavailable", `the Engine at ${socket} does not answer (${code})`, {
    cause,
    mend: "start it: systemctl start docker",
  });
}
