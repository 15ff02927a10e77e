import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { assert, property, uint8Array } from "fast-check";
import { expect, test } from "vitest";
import { SandboxError } from "../../core/errors.ts";
import { isLz4, unpackLz4 } from "./lz4.ts";

/** A block of literals alone, framed as a kernel's image is. */
function packed(content: Buffer): Buffer {
  const lengths: number[] = [];
  let token = content.length;
  if (content.length >= 15) {
    token = 15;
    let rest = content.length - 15;
    for (; rest >= 255; rest -= 255) lengths.push(255);
    lengths.push(rest);
  }
  const block = Buffer.concat([Buffer.from([token << 4, ...lengths]), content]);
  const head = Buffer.alloc(8);
  head.writeUInt32LE(0x184c2102, 0);
  head.writeUInt32LE(block.length, 4);
  return Buffer.concat([head, block]);
}

function outcome(bytes: Buffer): string {
  try {
    return unpackLz4(bytes, 512).length <= 512 ? "bounded" : "too long";
  } catch (error) {
    return SandboxError.from(error).code;
  }
}

test("what was packed comes back", () => {
  assert(
    property(uint8Array({ minLength: 1, maxLength: 2000 }), (bytes) => {
      const content = Buffer.from(bytes);
      expect(unpackLz4(packed(content), 4096).equals(content)).toBe(true);
    }),
  );
});

test("a match that reaches into itself repeats what it begins with", () => {
  const block = Buffer.from([0x2f, 0x61, 0x62, 2, 0, 5]);
  const head = Buffer.alloc(8);
  head.writeUInt32LE(0x184c2102, 0);
  head.writeUInt32LE(block.length, 4);
  const unpacked = unpackLz4(Buffer.concat([head, block]), 100).toString();
  expect(unpacked).toBe("ab".repeat(13));
});

test("rubbish is untrusted or bounded, and never more than was asked for", () => {
  assert(
    property(uint8Array({ maxLength: 300 }), (bytes) => {
      const head = Buffer.alloc(8);
      head.writeUInt32LE(0x184c2102, 0);
      head.writeUInt32LE(bytes.length, 4);
      expect(outcome(Buffer.concat([head, bytes]))).toMatch(/^(untrusted|bounded)$/);
    }),
  );
});

test.skipIf(!existsSync("/usr/bin/lz4"))("it is what lz4 itself packs", () => {
  const content = Buffer.from("a cofferdam is a watertight wall ".repeat(5000));
  const made = execFileSync("/usr/bin/lz4", ["-l", "-c", "-9"], { input: content });
  expect(isLz4(made)).toBe(true);
  expect(unpackLz4(made, content.length * 2).equals(content)).toBe(true);
});
