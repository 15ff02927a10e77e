import { boundedBuffer, tooLong } from "./bounded-buffer.ts";

const headBytes = 5;

/** One message of a Connect stream. */
export interface Envelope {
  /** Whether it is the last one, which carries the error if there was one. */
  readonly last: boolean;
  readonly payload: Uint8Array;
}

/** A JSON message in a Connect envelope: flags, length in 4 bytes big-endian, JSON. */
export function encodeEnvelope(message: unknown, last = false): Uint8Array {
  const text = JSON.stringify(message);
  const length = Buffer.byteLength(text);
  const bytes = Buffer.allocUnsafe(headBytes + length);
  bytes.writeUInt8(last ? 2 : 0, 0);
  bytes.writeUInt32BE(length, 1);
  bytes.write(text, headBytes, "utf8");
  return bytes;
}

/** Cuts a stream of bytes into envelopes. */
export interface EnvelopeDecoder {
  /** Envelopes that the chunk completed; a payload is valid until the chunk is. Throws `untrusted` for a bad one. */
  push(chunk: Uint8Array): readonly Envelope[];
  /** Bytes of an unfinished envelope. */
  readonly pendingBytes: number;
}

/** A decoder that takes payloads of at most `maxBytes`. */
export function envelopeDecoder(maxBytes: number): EnvelopeDecoder {
  const partial = boundedBuffer(headBytes + maxBytes, "message");
  return {
    push(chunk) {
      const envelopes: Envelope[] = [];
      let rest = chunk;
      if (partial.length > 0) {
        rest = completePartial(chunk, envelopes);
      }
      while (rest.length > 0) {
        const size = sizeOf(rest, maxBytes);
        if (size === undefined || rest.length < size) {
          partial.append(rest);
          break;
        }
        envelopes.push(envelopeOf(rest.subarray(0, size)));
        rest = rest.subarray(size);
      }
      return envelopes;
    },
    get pendingBytes() {
      return partial.length;
    },
  };

  /** Feeds the unfinished envelope first and returns what the chunk holds beyond it. */
  function completePartial(chunk: Uint8Array, envelopes: Envelope[]): Uint8Array {
    let rest = chunk;
    if (partial.length < headBytes) rest = feed(rest, headBytes - partial.length);
    const size = sizeOf(partial.view(), maxBytes);
    if (size === undefined) return rest;
    rest = feed(rest, size - partial.length);
    if (partial.length === size) envelopes.push(envelopeOf(partial.take()));
    return rest;
  }

  function feed(chunk: Uint8Array, wanted: number): Uint8Array {
    partial.append(chunk.subarray(0, wanted));
    return chunk.subarray(wanted);
  }
}

/** Size of the envelope that begins here, head included; `undefined` while its head is incomplete. */
function sizeOf(bytes: Uint8Array, maxBytes: number): number | undefined {
  if (bytes.length < headBytes) return undefined;
  const length = new DataView(bytes.buffer, bytes.byteOffset, headBytes).getUint32(1);
  if (length > maxBytes) throw tooLong("message", maxBytes);
  return headBytes + length;
}

function envelopeOf(bytes: Uint8Array): Envelope {
  const flags = bytes[0] ?? 0;
  return { last: (flags & 2) !== 0, payload: bytes.subarray(headBytes) };
}
