import type { IncomingMessage } from "node:http";
import type { FileContent } from "../core/files.ts";
import type { SandboxError } from "../core/errors.ts";
import type { Lifeline } from "./lifeline.ts";
import { cancelledBy, readAll } from "./transport.ts";

const maxWholeBytes = 2 ** 32 - 1;

interface ContentOptions {
  readonly signal: AbortSignal | undefined;
  /** Called once, when the content was read, left or failed. */
  readonly done: () => void;
}

/** The body of an answer whose length was not told, as a file's content. */
export function fileContent(
  answer: IncomingMessage,
  lifeline: Lifeline,
  options: ContentOptions,
): FileContent {
  const { signal, done } = options;
  const abort = (): void => void answer.destroy(cancelledBy(signal));
  signal?.addEventListener("abort", abort);
  answer.once("close", () => {
    signal?.removeEventListener("abort", abort);
    done();
  });
  return {
    sizeBytes: 0,
    bytes: () => readAll(answer, maxWholeBytes, lifeline),
    stream: () => streamOf(answer, lifeline),
  };
}

/** The body as a stream that stops the machine while its reader is slow. */
function streamOf(answer: IncomingMessage, lifeline: Lifeline): ReadableStream<Uint8Array> {
  return new ReadableStream<Uint8Array>(
    {
      start(controller) {
        const fail = (error: SandboxError): void => controller.error(error);
        answer.on("data", (chunk: Buffer) => {
          controller.enqueue(chunk);
          if ((controller.desiredSize ?? 0) <= 0) answer.pause();
        });
        answer.on("end", () => controller.close());
        answer.on("error", (cause) => {
          lifeline.explain(cause).then(fail, fail);
        });
      },
      pull: () => void answer.resume(),
      cancel: () => void answer.destroy(),
    },
    { highWaterMark: 1024 * 1024, size: (chunk) => chunk.byteLength },
  );
}
