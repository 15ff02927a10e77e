import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { lineDecoder } from "./lines.ts";
import { cutAnywhere } from "../../test/support/bytes.ts";

describe("lines", () => {
  test("arrive as they were sent, wherever the stream is cut", () => {
    const line = fc
      .uint8Array({ maxLength: 80 })
      .map((bytes) => Buffer.from(bytes.map((byte) => (byte === 10 ? 32 : byte))));
    fc.assert(
      fc.property(
        fc.array(line),
        fc.infiniteStream(fc.integer({ min: 1, max: 40 })),
        (lines, sizes) => {
          const wire = Buffer.concat(lines.flatMap((each) => [each, Buffer.from("\n")]));
          const decoder = lineDecoder(80);
          const decoded = cutAnywhere(wire, sizes).flatMap((piece) =>
            decoder.push(piece).map((each) => Buffer.from(each)),
          );
          expect(decoded).toEqual(lines);
          expect(decoder.rest()).toHaveLength(0);
        },
      ),
    );
  });

  test("a line without an end is refused at its bound, not gathered", () => {
    const decoder = lineDecoder(1024);
    const flood = (): void => {
      for (let count = 0; count < 100; count += 1) decoder.push(Buffer.alloc(100, "a"));
    };
    expect(flood).toThrow(/a line of more than 1024 bytes/);
  });

  test("a line that is longer than the bound is refused also when it comes whole", () => {
    expect(() => lineDecoder(10).push(Buffer.from("twelve bytes\n"))).toThrow(/more than 10 bytes/);
  });
});
