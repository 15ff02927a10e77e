import { Writable } from "node:stream";
import { writeAll } from "./blocking.ts";

/** A standard stream that writes at once: output keeps its order, and a full pipe makes the program wait. */
class Output extends Writable {
  readonly fd: number;
  readonly isTTY = false;

  constructor(fd: number) {
    super({ decodeStrings: true, highWaterMark: 1 << 20 });
    this.fd = fd;
  }

  override _write(chunk: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    try {
      writeAll(this.fd, chunk);
      done();
    } catch (error) {
      done(error instanceof Error ? error : new Error(String(error)));
    }
  }

  // The standard streams cannot be closed, like Node's own.
  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    done(error);
  }
}

/** Puts them in the place of Node's own, which queue in memory what a pipe does not take. */
export function installOutputs(): void {
  for (const [name, fd] of [
    ["stdout", 1],
    ["stderr", 2],
  ] as const) {
    const stream = new Output(fd);
    Object.defineProperty(process, name, {
      configurable: true,
      enumerable: true,
      get: () => stream,
    });
  }
}
