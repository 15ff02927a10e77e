import type { Socket } from "node:net";
import { SandboxError } from "../core/errors.ts";
import type { Way } from "./access.ts";
import { type ResponseHead, parseResponseHead } from "./response-head.ts";

const headBytes = 65_536;

/** Space for what comes after the connection was given up; nobody looks at it. */
const nowhere: Uint8Array = new Uint8Array(1);

/** Who gets the bytes of a body. */
export interface Sink {
  /** Where the next bytes go. Never empty while bytes are missing. */
  space(): Uint8Array;
  /** So many bytes of that space are filled. `false`: stop for now. */
  filled(count: number): boolean;
  /** The body is complete. */
  finish(): void;
  fail(cause: unknown): void;
}

/** What a connection asks for, and who is told. */
interface Exchange {
  readonly head: (head: ResponseHead) => void;
  readonly fail: (cause: unknown) => void;
}

/**
 * A connection for GETs whose bodies are read straight into the caller's memory.
 *
 * Node's HTTP client copies each body twice; here the kernel's copy is the only one.
 */
export class RawConnection {
  /** Whether it can be asked again. */
  reusable = true;
  readonly #socket: Socket;
  readonly #way: Way;
  /** Given up. Node asks for space before the socket is there, so it cannot be asked. */
  #over = false;
  readonly #head: Buffer = Buffer.allocUnsafeSlow(headBytes);
  #headLength = 0;
  #exchange: Exchange | undefined;
  #sink: Sink | undefined;
  /** Bytes of the body that are still to come over the socket. */
  #missing = 0;
  /** Body bytes that came with the head, or into the space that was given before there was a sink. */
  #early: Uint8Array = new Uint8Array(0);
  #spill: Buffer | undefined;

  constructor(way: Way) {
    this.#way = way;
    this.#socket = way.connect({
      buffer: () => this.#space(),
      callback: (count) => this.#received(count),
    });
    this.#socket.on("error", (cause) => this.#broken(cause));
    this.#socket.on("close", () => this.#broken(new Error("the connection was closed")));
    this.#socket.on("end", () => this.#broken(new Error("the connection was ended")));
  }

  /** Asks for a path; resolves with the head. The body waits for `pour`. */
  get(path: string, headers: Readonly<Record<string, string>>): Promise<ResponseHead> {
    const { prefix, headers: own } = this.#way;
    const lines = Object.entries({ ...headers, ...own }).map(
      ([name, value]) => `${name}: ${value}`,
    );
    const head = [`GET ${prefix}${path} HTTP/1.1`, ...lines, "", ""].join("\r\n");
    this.#socket.ref();
    return new Promise((resolve, reject) => {
      this.#exchange = { head: resolve, fail: reject };
      this.#socket.write(head);
    });
  }

  /** Gives the body to a sink. */
  pour(sink: Sink): void {
    this.#sink = sink;
    const early = this.#early;
    this.#early = new Uint8Array(0);
    if (early.length > 0) place(early, sink);
    if (this.#missing === 0) this.#finish();
    else this.#socket.resume();
  }

  resume(): void {
    this.#socket.resume();
  }

  /** Nothing is asked; the connection does not keep the process alive. */
  rest(): void {
    this.#socket.unref();
  }

  destroy(cause?: Error): void {
    this.reusable = false;
    this.#over = true;
    this.#socket.destroy(cause);
  }

  #space(): Uint8Array {
    if (this.#over) return nowhere;
    if (this.#missing === 0) return this.#head.subarray(this.#headLength);
    if (this.#sink !== undefined) return this.#sink.space().subarray(0, this.#missing);
    this.#spill = Buffer.allocUnsafeSlow(Math.min(headBytes, this.#missing));
    return this.#spill;
  }

  #received(count: number): boolean {
    try {
      if (this.#missing === 0) return this.#receivedHead(count);
      this.#missing -= count;
      return this.#receivedBody(count);
    } catch (cause) {
      this.destroy(SandboxError.from(cause));
      return false;
    }
  }

  #receivedBody(count: number): boolean {
    const sink = this.#sink;
    if (sink === undefined) {
      this.#early = this.#spill?.subarray(0, count) ?? this.#early;
      return false;
    }
    const more =
      this.#spill === undefined ? sink.filled(count) : place(this.#spill.subarray(0, count), sink);
    this.#spill = undefined;
    if (this.#missing === 0) this.#finish();
    return more || this.#missing === 0;
  }

  #receivedHead(count: number): boolean {
    const exchange = this.#exchange;
    if (exchange === undefined)
      throw new SandboxError("untrusted", "the sandbox answered without being asked");
    this.#headLength += count;
    const parsed = parseResponseHead(this.#head.subarray(0, this.#headLength));
    if (parsed === undefined) {
      if (this.#headLength === headBytes)
        throw new SandboxError("untrusted", "the sandbox sent a head that is too long");
      return true;
    }
    const early = this.#headLength - parsed.headBytes;
    const bodyBytes = parsed.bodyBytes ?? early;
    if (early > bodyBytes)
      throw new SandboxError("untrusted", "the sandbox sent more than it announced");
    this.#early = Uint8Array.from(this.#head.subarray(parsed.headBytes, this.#headLength));
    this.#headLength = 0;
    this.#missing = bodyBytes - early;
    this.reusable = parsed.reusable && parsed.bodyBytes !== undefined;
    this.#exchange = undefined;
    exchange.head(parsed);
    return this.#missing === 0;
  }

  #finish(): void {
    const sink = this.#sink;
    this.#sink = undefined;
    sink?.finish();
  }

  #broken(cause: unknown): void {
    this.reusable = false;
    this.#over = true;
    const exchange = this.#exchange;
    const sink = this.#sink;
    this.#exchange = undefined;
    this.#sink = undefined;
    exchange?.fail(cause);
    sink?.fail(cause);
    this.#socket.destroy();
  }
}

/** Copies bytes into a sink's space. `false`: the sink wants no more for now. */
function place(bytes: Uint8Array, sink: Sink): boolean {
  let more = true;
  for (let from = 0; from < bytes.length;) {
    const space = sink.space();
    const piece = bytes.subarray(from, from + space.length);
    space.set(piece);
    more = sink.filled(piece.length);
    from += piece.length;
  }
  return more;
}
