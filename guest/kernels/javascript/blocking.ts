import { readSync, writeSync } from "node:fs";

const cell = new Int32Array(new SharedArrayBuffer(4));

/** Tries a system call on a descriptor that may be non-blocking until it is possible. */
function insist<T>(call: () => T): T {
  for (let pauseMs = 0.05; ; pauseMs = Math.min(2 * pauseMs, 5)) {
    try {
      return call();
    } catch (error) {
      if (!isAgain(error)) throw error;
      Atomics.wait(cell, 0, 0, pauseMs);
    }
  }
}

function isAgain(error: unknown): boolean {
  return (
    error instanceof Error && "code" in error && (error.code === "EAGAIN" || error.code === "EINTR")
  );
}

/** Writes all of it; a full pipe makes the caller wait. */
export function writeAll(fd: number, data: Uint8Array): void {
  for (let at = 0; at < data.length;) at += insist(() => writeSync(fd, data, at, data.length - at));
}

/** Reads up to the end of the next line; empty at the end of the file. */
export function readLine(fd: number): string {
  const byte = new Uint8Array(1);
  let line = "";
  while (insist(() => readSync(fd, byte, 0, 1, null)) === 1 && byte[0] !== 10)
    line += String.fromCharCode(byte[0] ?? 0);
  return line;
}
