import { SandboxError } from "../core/errors.ts";

const smallest = 4096;

/** Bytes that wait for the rest of their message. Grows by doubling, and never beyond `maxBytes`. */
export interface BoundedBuffer {
  readonly length: number;
  /** Throws `untrusted` when more than `maxBytes` would be kept. */
  append(bytes: Uint8Array): void;
  /** What is kept; valid until the next call. */
  view(): Uint8Array;
  /** What is kept, given away; the buffer is empty afterwards. */
  take(): Uint8Array;
}

/** A buffer for something called `what` in its error. */
export function boundedBuffer(maxBytes: number, what: string): BoundedBuffer {
  let held: Uint8Array = new Uint8Array(0);
  let length = 0;
  const grow = (wanted: number): void => {
    const capacity = Math.min(maxBytes, Math.max(wanted, held.length * 2, smallest));
    const larger = Buffer.allocUnsafeSlow(capacity);
    larger.set(held.subarray(0, length));
    held = larger;
  };
  return {
    get length() {
      return length;
    },
    append(bytes) {
      const wanted = length + bytes.length;
      if (wanted > maxBytes) throw tooLong(what, maxBytes);
      if (wanted > held.length) grow(wanted);
      held.set(bytes, length);
      length = wanted;
    },
    view: () => held.subarray(0, length),
    take() {
      const taken = held.subarray(0, length);
      held = new Uint8Array(0);
      length = 0;
      return taken;
    },
  };
}

/** The error for a message that is longer than its bound. */
export function tooLong(what: string, maxBytes: number): SandboxError {
  return new SandboxError("untrusted", `the sandbox sent a ${what} of more than ${maxBytes} bytes`);
}
