import type { IncomingMessage } from "node:http";
import type { Watch, WatchEvent, WatchOptions } from "../core/files.ts";
import { SandboxError } from "../core/errors.ts";
import { parseConnectError } from "../wire/connect-errors.ts";
import { parseWatchMessage } from "../wire/entries.ts";
import { envelopeDecoder } from "../wire/envelopes.ts";
import { isFields, ownField, parseJson } from "../wire/json.ts";
import { Inbox } from "./inbox.ts";
import { type Transport, cancelledBy } from "./transport.ts";

const maxMessageBytes = 1024 * 1024;

/** Watches a directory; resolves when events are being told. */
export async function watchDirectory(
  transport: Transport,
  path: string,
  options: WatchOptions,
): Promise<Watch> {
  const done = transport.uses.begin();
  try {
    const source = await transport.stream(
      "/filesystem.Filesystem/WatchDir",
      { path, recursive: options.recursive ?? false },
      { user: options.user, signal: options.signal },
    );
    source.once("close", done);
    return await watching(transport, source, options.signal);
  } catch (cause) {
    done();
    throw cause;
  }
}

async function watching(
  transport: Transport,
  source: IncomingMessage,
  signal: AbortSignal | undefined,
): Promise<Watch> {
  const events = new Inbox<WatchEvent>(source);
  const started = new Promise<void>((resolve, reject) => {
    const fail = (error: SandboxError): void => {
      reject(error);
      events.close(error);
    };
    const decoder = envelopeDecoder(maxMessageBytes);
    source.on("data", (chunk: Buffer) => {
      try {
        for (const { last, payload } of decoder.push(chunk)) {
          if (last) return fail(endOf(parseJson(payload)));
          const message = parseWatchMessage(parseJson(payload));
          if (message === "start") resolve();
          else if (message !== undefined) events.put(message, payload.length);
        }
      } catch (cause) {
        fail(SandboxError.from(cause));
        source.destroy();
      }
    });
    source.on("end", () => fail(new SandboxError("lost", "the watch ended")));
    source.on("error", (cause) => void transport.lifeline.explain(cause).then(fail, fail));
  });
  const abort = (): void => {
    events.close(cancelledBy(signal));
    source.destroy(cancelledBy(signal));
  };
  signal?.addEventListener("abort", abort, { once: true });
  await started;
  return {
    events: { [Symbol.asyncIterator]: () => iterate() },
    [Symbol.asyncDispose]: leave,
  };

  async function* iterate(): AsyncGenerator<WatchEvent, void, undefined> {
    try {
      for (let event = await events.take(); event !== undefined; event = await events.take())
        yield event;
    } finally {
      await leave();
    }
  }

  function leave(): Promise<void> {
    signal?.removeEventListener("abort", abort);
    events.close();
    source.destroy();
    return Promise.resolve();
  }
}

function endOf(value: unknown): SandboxError {
  const error = isFields(value) ? ownField(value, "error") : undefined;
  return error === undefined
    ? new SandboxError("lost", "the sandbox ended the watch")
    : parseConnectError(error);
}
