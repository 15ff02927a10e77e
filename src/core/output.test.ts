import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { textSink } from "./output.ts";

describe("text of a program", () => {
  test("is the same wherever its bytes are cut", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), fc.integer({ min: 1, max: 5 }), (text, size) => {
        const bytes = new TextEncoder().encode(text);
        const heard: string[] = [];
        const sink = textSink(1_000_000, (piece) => void heard.push(piece));
        for (let from = 0; from < bytes.length; from += size)
          void sink.take(bytes.subarray(from, from + size));
        void sink.flush();
        expect(sink.text).toBe(new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes));
        expect(heard.join("")).toBe(sink.text);
      }),
    );
  });

  test("invalid and unfinished characters become U+FFFD", () => {
    const sink = textSink(100, undefined);
    void sink.take(Uint8Array.of(0x61, 0xff, 0x62, 0xe2, 0x82));
    void sink.flush();
    expect(sink.text).toBe("a\uFFFDb\uFFFD");
  });

  test("is kept up to its bound, and says so; its listener hears all of it", () => {
    let heard = 0;
    const sink = textSink(10, (piece) => void (heard += piece.length));
    for (let count = 0; count < 5; count += 1) void sink.take(new TextEncoder().encode("1234"));
    expect(sink.text).toBe("1234123412");
    expect(sink.truncated).toBe(true);
    expect(heard).toBe(20);
  });

  test("waits for a listener that takes its time", async () => {
    let done = false;
    const sink = textSink(10, async () => {
      await new Promise((resolve) => setImmediate(resolve));
      done = true;
    });
    await sink.take(Uint8Array.of(0x61));
    expect(done).toBe(true);
  });
});
