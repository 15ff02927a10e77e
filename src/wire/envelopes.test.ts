import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { codeThrownBy } from "../../test/support/refusals.ts";
import { type Envelope, encodeEnvelope, envelopeDecoder } from "./envelopes.ts";
import { parseJson } from "./json.ts";
import { cutAnywhere } from "../../test/support/bytes.ts";

const maxBytes = 4096;

function decode(pieces: readonly Uint8Array[]): readonly Envelope[] {
  const decoder = envelopeDecoder(maxBytes);
  return pieces.flatMap((piece) =>
    decoder.push(piece).map(({ last, payload }) => ({ last, payload: payload.slice() })),
  );
}

describe("envelopes", () => {
  test("arrive as they were sent, wherever the stream is cut", () => {
    const message = fc.record({ last: fc.boolean(), value: fc.jsonValue({ maxDepth: 2 }) });
    fc.assert(
      fc.property(
        fc.array(message, { maxLength: 8 }),
        fc.infiniteStream(fc.integer({ min: 1, max: 50 })),
        (messages, sizes) => {
          const wire = Buffer.concat(
            messages.map(({ value, last }) => encodeEnvelope(value, last)),
          );
          const decoded = decode(cutAnywhere(wire, sizes));
          expect(decoded.map(({ last, payload }) => ({ last, value: parseJson(payload) }))).toEqual(
            messages.map(({ last, value }) => ({
              last,
              value: JSON.parse(JSON.stringify(value)) as unknown,
            })),
          );
        },
      ),
    );
  });

  test("arbitrary bytes give envelopes or an untrusted error, and never keep more than one envelope may have", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 30 }), (pieces) => {
        const decoder = envelopeDecoder(maxBytes);
        for (const piece of pieces) {
          const code = codeThrownBy(() => decoder.push(piece));
          expect([undefined, "untrusted"]).toContain(code);
          expect(decoder.pendingBytes).toBeLessThanOrEqual(maxBytes + 5);
          if (code !== undefined) return;
        }
      }),
    );
  });

  test("an envelope that claims more than its bound is refused by its head alone", () => {
    const decoder = envelopeDecoder(maxBytes);
    expect(() => decoder.push(Uint8Array.of(0, 0xff, 0xff, 0xff, 0xff))).toThrow(
      /more than 4096 bytes/,
    );
  });
});
