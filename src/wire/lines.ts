import { boundedBuffer, tooLong } from "./bounded-buffer.ts";

const newline = 10;

/** Cuts a stream of bytes into lines without their newline. */
export interface LineDecoder {
  /** Lines that the chunk completed. A line is valid until the chunk is. Throws `untrusted` for one that is too long. */
  push(chunk: Uint8Array): readonly Uint8Array[];
  /** What stands after the last newline. */
  rest(): Uint8Array;
}

/** A decoder that keeps at most `maxBytes` of an unfinished line. */
export function lineDecoder(maxBytes: number): LineDecoder {
  const partial = boundedBuffer(maxBytes, "line");
  return {
    push(chunk) {
      const lines: Uint8Array[] = [];
      let from = 0;
      for (let at = chunk.indexOf(newline); at !== -1; at = chunk.indexOf(newline, from)) {
        lines.push(completed(chunk.subarray(from, at)));
        from = at + 1;
      }
      if (from < chunk.length) partial.append(chunk.subarray(from));
      return lines;
    },
    rest: () => partial.take(),
  };

  function completed(tail: Uint8Array): Uint8Array {
    if (partial.length === 0) {
      if (tail.length > maxBytes) throw tooLong("line", maxBytes);
      return tail;
    }
    partial.append(tail);
    return partial.take();
  }
}
