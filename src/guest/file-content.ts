import type { IncomingMessage } from "node:http";
import type { FileContent } from "../core/files.ts";
import { SandboxError } from "../core/errors.ts";
import { boundedBuffer } from "../wire/bounded-buffer.ts";
import { malformed } from "../wire/json.ts";
import type { Lifeline } from "./lifeline.ts";
import { cancelledBy } from "./transport.ts";

/** The longest file that `bytes()` gives; longer ones are read as a stream. */
const maxWholeBytes = 2 ** 32 - 1;

interface ContentOptions {
  readonly signal: AbortSignal | undefined;
  /** Called once, when the content was read, left or failed. */
  readonly done: () => void;
}

/** The body of an answer as a file's content. */
export function fileContent(
  answer: IncomingMessage,
  lifeline: Lifeline,
  options: ContentOptions,
): FileContent {
  const sizeBytes = sizeOf(answer);
  const { signal, done } = options;
  const abort = (): void => void answer.destroy(cancelledBy(signal));
  signal?.addEventListener("abort", abort);
  answer.once("close", () => {
    signal?.removeEventListener("abort", abort);
    done();
  });
  return {
    sizeBytes: sizeBytes ?? 0,
    bytes: () =>
      sizeBytes === undefined ? gather(answer, lifeline) : fill(answer, lifeline, sizeBytes),
    stream: () => streamOf(answer, lifeline),
  };
}

function sizeOf(answer: IncomingMessage): number | undefined {
  const told = answer.headers["content-length"];
  if (told === undefined) return undefined;
  const size = Number(told);
  if (!Number.isSafeInteger(size) || size < 0) throw malformed("content length");
  return size;
}

/** Bytes of a known length: one allocation, one copy. */
function fill(answer: IncomingMessage, lifeline: Lifeline, sizeBytes: number): Promise<Uint8Array> {
  if (sizeBytes > maxWholeBytes) {
    answer.destroy();
    return Promise.reject(tooLarge(sizeBytes));
  }
  const bytes = Buffer.allocUnsafeSlow(sizeBytes);
  let filled = 0;
  return new Promise((resolve, reject) => {
    answer.on("data", (chunk: Buffer) => {
      bytes.set(chunk, filled);
      filled += chunk.length;
    });
    answer.on("end", () => resolve(bytes));
    answer.on("error", (cause) => {
      lifeline.explain(cause).then(reject, reject);
    });
  });
}

function gather(answer: IncomingMessage, lifeline: Lifeline): Promise<Uint8Array> {
  const body = boundedBuffer(maxWholeBytes, "file");
  return new Promise((resolve, reject) => {
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

/** The body as a stream that pauses the machine while its reader is slow. */
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

function tooLarge(sizeBytes: number): SandboxError {
  return new SandboxError(
    "invalid",
    `a file of ${sizeBytes} bytes does not fit into memory at once`,
    {
      field: "format",
      mend: 'read it with format: "stream"',
    },
  );
}
