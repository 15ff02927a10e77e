import type { FileContent } from "../core/files.ts";
import { SandboxError } from "../core/errors.ts";
import type { Way } from "./access.ts";
import type { Lifeline } from "./lifeline.ts";
import { RawConnection, type Sink } from "./raw-connection.ts";
import type { ResponseHead } from "./response-head.ts";
import { cancelledBy } from "./transport.ts";

const maxIdle = 4;
const answerTimeoutMs = 60_000;
const streamChunkBytes = 256 * 1024;

/** The longest file that `bytes()` gives; longer ones are read as a stream. */
const maxWholeBytes = 2 ** 32 - 1;

/** A file that is asked for. */
export interface Download {
  /** Path and query of the request. */
  readonly path: string;
  /** For example `bytes=0-9`. */
  readonly range: string | undefined;
  readonly signal: AbortSignal | undefined;
  /** Called once, when the content was read, left or failed. */
  readonly done: () => void;
}

/** Files read over connections of their own. */
export interface Downloads {
  /** The file's content; `undefined` when the answer is a refusal or of unknown length, and another way must ask again. */
  get(download: Download): Promise<FileContent | undefined>;
  close(): void;
}

export function downloads(way: Way, lifeline: Lifeline): Downloads {
  let idle: RawConnection[] = [];
  let open = true;

  function release(connection: RawConnection): void {
    idle = idle.filter((each) => each.reusable);
    if (!open || !connection.reusable || idle.length >= maxIdle) return connection.destroy();
    connection.rest();
    idle.push(connection);
  }

  async function begin(download: Download): Promise<Begun> {
    const earlier = idle.pop();
    if (earlier?.reusable === true) {
      try {
        return { connection: earlier, head: await ask(earlier, download) };
      } catch (cause) {
        if (cause instanceof SandboxError) throw cause;
      }
    }
    const connection = new RawConnection(way);
    return { connection, head: await ask(connection, download) };
  }

  return {
    async get(download) {
      if (download.signal?.aborted === true) throw cancelledBy(download.signal);
      await lifeline.admit();
      try {
        const { connection, head } = await begin(download);
        if ((head.status === 200 || head.status === 206) && head.bodyBytes !== undefined) {
          return content({ connection, sizeBytes: head.bodyBytes, lifeline, release }, download);
        }
        connection.destroy();
        return undefined;
      } catch (cause) {
        throw await lifeline.explain(cause);
      }
    },
    close() {
      open = false;
      for (const connection of idle) connection.destroy();
      idle = [];
    },
  };
}

interface Begun {
  readonly connection: RawConnection;
  readonly head: ResponseHead;
}

async function ask(
  connection: RawConnection,
  { path, range, signal }: Download,
): Promise<ResponseHead> {
  const abort = (): void => connection.destroy(cancelledBy(signal));
  const late = (): void =>
    connection.destroy(new SandboxError("timed-out", "the agent did not answer"));
  const timer = setTimeout(late, answerTimeoutMs);
  signal?.addEventListener("abort", abort);
  try {
    return await connection.get(path, range === undefined ? {} : { range });
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", abort);
  }
}

interface Body {
  readonly connection: RawConnection;
  readonly sizeBytes: number;
  readonly lifeline: Lifeline;
  readonly release: (connection: RawConnection) => void;
}

function content(body: Body, { signal, done }: Download): FileContent {
  const { connection, sizeBytes, release } = body;
  const abort = (): void => over(cancelledBy(signal));
  const over = (error?: Error): void => {
    signal?.removeEventListener("abort", abort);
    if (error === undefined) release(connection);
    else connection.destroy(error);
    done();
  };
  signal?.addEventListener("abort", abort);
  return {
    sizeBytes,
    bytes: async () => whole(body, spaceFor(sizeBytes, over), over),
    stream: () => streamed(body, over),
  };
}

type Over = (error?: Error) => void;

function whole(
  { connection, lifeline }: Body,
  bytes: Buffer<ArrayBuffer>,
  over: Over,
): Promise<Uint8Array> {
  let length = 0;
  return new Promise((resolve, reject) => {
    connection.pour({
      space: () => bytes.subarray(length),
      filled(count) {
        length += count;
        return true;
      },
      finish() {
        over();
        resolve(bytes);
      },
      fail(cause) {
        over(new Error("the read failed"));
        lifeline.explain(cause).then(reject, reject);
      },
    });
  });
}

/** Memory for a whole file. It takes none before it is filled, so a length that is a lie costs nothing. */
function spaceFor(sizeBytes: number, over: Over): Buffer<ArrayBuffer> {
  try {
    if (sizeBytes <= maxWholeBytes) return Buffer.allocUnsafeSlow(sizeBytes);
  } catch (cause) {
    over(new Error("no memory", { cause }));
    throw tooLarge(sizeBytes);
  }
  over(new Error("too large"));
  throw tooLarge(sizeBytes);
}

function tooLarge(sizeBytes: number): SandboxError {
  const message = `a file of ${sizeBytes} bytes does not fit into memory at once`;
  return new SandboxError("invalid", message, {
    field: "format",
    mend: 'read it with format: "stream"',
  });
}

function failing(
  controller: ReadableStreamDefaultController<Uint8Array>,
): (error: SandboxError) => void {
  return (error) => controller.error(error);
}

/** The body as a stream that stops the machine while its reader is slow. */
function streamed({ connection, lifeline }: Body, over: Over): ReadableStream<Uint8Array> {
  let chunk = Buffer.alloc(0);
  const sink = (controller: ReadableStreamDefaultController<Uint8Array>): Sink => ({
    space() {
      chunk = Buffer.allocUnsafeSlow(streamChunkBytes);
      return chunk;
    },
    filled(count) {
      const part = chunk.subarray(0, count);
      controller.enqueue(count < streamChunkBytes / 4 ? Uint8Array.from(part) : part);
      return (controller.desiredSize ?? 0) > 0;
    },
    finish() {
      over();
      controller.close();
    },
    fail(cause) {
      over(new Error("the read failed"));
      lifeline.explain(cause).then(failing(controller), failing(controller));
    },
  });
  let begun = false;
  return new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        if (begun) return connection.resume();
        begun = true;
        connection.pour(sink(controller));
      },
      cancel: () => over(new Error("the reader left")),
    },
    { highWaterMark: 1024 * 1024, size: (piece) => piece.byteLength },
  );
}
