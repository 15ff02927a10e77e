import type { IncomingMessage } from "node:http";
import type { CodeContext, CodeContexts, CodeEvent, RunRequest } from "../core/code.ts";
import { SandboxError } from "../core/errors.ts";
import { parseCodeLine, parseContext, parseContexts } from "../wire/code-events.ts";
import { parseJson } from "../wire/json.ts";
import { lineDecoder } from "../wire/lines.ts";
import { Inbox } from "./inbox.ts";
import { type Ask, type Transport, cancelledBy, readAnswer } from "./transport.ts";

const maxLineBytes = 64 * 1024 * 1024;

/** Kernels of a machine, through its agent. */
export function guestCode(transport: Transport): CodeContexts {
  const post = (path: string, message: unknown): Promise<unknown> =>
    json(transport, { method: "POST", path, ...jsonBody(message) });
  return {
    run: (request, signal) => run(transport, request, signal),
    create: async (options = {}): Promise<CodeContext> =>
      parseContext(await post("/contexts", options)),
    list: async () => parseContexts(await json(transport, { method: "GET", path: "/contexts" })),
    restart: async (id) => void (await post(`/contexts/${encodeURIComponent(id)}/restart`, {})),
    interrupt: async (id) => void (await post(`/contexts/${encodeURIComponent(id)}/interrupt`, {})),
    remove: async (id) =>
      void (await json(transport, {
        method: "DELETE",
        path: `/contexts/${encodeURIComponent(id)}`,
      })),
  };
}

function jsonBody(message: unknown): Pick<Ask, "body" | "headers"> {
  const body = Buffer.from(JSON.stringify(message));
  return { body, headers: { "content-type": "application/json", "content-length": body.length } };
}

/** A call whose answer is JSON, or nothing. */
async function json(transport: Transport, ask: Ask): Promise<unknown> {
  const done = transport.uses.begin();
  try {
    const answer = await named(transport.ask(ask));
    const body = await readAnswer(answer, transport.lifeline, undefined);
    return body.length === 0 ? undefined : parseJson(body);
  } finally {
    done();
  }
}

/** Runs code. Leaving the loop, an abort and the time limit close the connection, upon which the agent interrupts the kernel. */
async function* run(
  transport: Transport,
  request: RunRequest,
  signal?: AbortSignal,
): AsyncGenerator<CodeEvent, void, undefined> {
  const limit = new AbortController();
  const timer = request.timeoutMs ? setTimeout(() => limit.abort(), request.timeoutMs) : undefined;
  const stop = (): void => limit.abort();
  signal?.addEventListener("abort", stop);
  const done = transport.uses.begin();
  try {
    const events = await begin(transport, request, limit.signal);
    for (let event = await events.take(); event !== undefined; event = await events.take())
      yield event;
  } catch (cause) {
    throw limit.signal.aborted ? stopped(request, signal, cause) : cause;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", stop);
    limit.abort();
    done();
  }
}

function stopped(
  request: RunRequest,
  signal: AbortSignal | undefined,
  cause: unknown,
): SandboxError {
  if (signal?.aborted === true) return cancelledBy(signal);
  return new SandboxError(
    "timed-out",
    `the code ran into its time limit of ${request.timeoutMs} ms and was interrupted`,
    { cause },
  );
}

async function begin(
  transport: Transport,
  request: RunRequest,
  signal: AbortSignal,
): Promise<Inbox<CodeEvent>> {
  const message = {
    code: request.code,
    ...(request.contextId === undefined ? {} : { context_id: request.contextId }),
    ...(request.language === undefined ? {} : { language: request.language }),
    ...(request.envs === undefined ? {} : { env_vars: request.envs }),
  };
  const source = await named(
    transport.ask({
      method: "POST",
      path: "/execute",
      ...jsonBody(message),
      signal,
      timeoutMs: 0,
      lasting: true,
    }),
  );
  return eventsOf(transport, source, signal);
}

function eventsOf(
  transport: Transport,
  source: IncomingMessage,
  signal: AbortSignal,
): Inbox<CodeEvent> {
  const events = new Inbox<CodeEvent>(source);
  const lines = lineDecoder(maxLineBytes);
  let ended = false;
  const take = (line: Uint8Array): void => {
    if (line.length === 0) return;
    const event = parseCodeLine(parseJson(line));
    if (event === undefined || ended) return;
    if (event.type === "end") {
      ended = true;
      events.close();
    } else events.put(event, line.length);
  };
  source.on("data", (chunk: Buffer) => {
    try {
      for (const line of lines.push(chunk)) take(line);
    } catch (cause) {
      events.close(SandboxError.from(cause));
      source.destroy();
    }
  });
  source.on("end", () =>
    events.close(new SandboxError("untrusted", "the sandbox ended a run without its end")),
  );
  const fail = (error: SandboxError): void => events.close(error);
  source.on("error", (cause) => {
    transport.lifeline.explain(cause).then(fail, fail);
  });
  const abort = (): void => {
    if (source.readableEnded || ended) return;
    events.close(cancelledBy(signal));
    source.destroy();
  };
  if (signal.aborted) abort();
  else signal.addEventListener("abort", abort, { once: true });
  return events;
}

const fields: readonly (readonly [RegExp, string])[] = [
  [/^unknown language/, "language"],
  [/^context|^only one of context_id/, "contextId"],
  [/^cwd/, "cwd"],
];

/** Names the option that was wrong, where the agent's answer tells. */
async function named<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (cause) {
    const error = SandboxError.from(cause);
    const about = fields.find(([start]) => start.test(error.message));
    if (about === undefined || error.field !== undefined) throw error;
    throw new SandboxError(error.code, error.message, { field: about[1], cause: error });
  }
}
