import { SandboxError } from "../../core/errors.ts";

const legacyMagic = 0x184c2102;
const smallestMatch = 4;
/** A length or match of 15 goes on in the bytes that follow, for as long as these are 255. */
const more = 15;

/** Whether the bytes are of the format that kernels are packed with: blocks, without a frame around them. */
export function isLz4(packed: Buffer): boolean {
  return packed.length > 4 && packed.readUInt32LE(0) === legacyMagic;
}

/** Unpacks at most this many bytes. Throws `untrusted` for what is not whole. */
export function unpackLz4(packed: Buffer, mostBytes: number): Buffer {
  const unpacked = Buffer.allocUnsafe(mostBytes);
  let written = 0;
  let at = 4;
  while (at + 4 <= packed.length) {
    const size = packed.readUInt32LE(at);
    at += 4;
    // A kernel's own size follows the last block.
    if (size === 0 || at + size > packed.length) break;
    written = unpackBlock(packed.subarray(at, at + size), unpacked, written);
    at += size;
  }
  if (written === 0) throw broken();
  return unpacked.subarray(0, written);
}

/** Unpacks a block behind what is there already. Returns how much there is then. */
function unpackBlock(block: Buffer, to: Buffer, from: number): number {
  let written = from;
  let at = 0;
  const length = (nibble: number): number => {
    let total = nibble;
    if (nibble < more) return total;
    for (;;) {
      const next = block[at];
      if (next === undefined) throw broken();
      at += 1;
      total += next;
      if (next !== 255) return total;
    }
  };
  while (at < block.length) {
    const token = block[at] ?? 0;
    at += 1;
    const literals = length(token >> 4);
    if (at + literals > block.length || written + literals > to.length) throw broken();
    block.copy(to, written, at, at + literals);
    at += literals;
    written += literals;
    if (at === block.length) return written;
    if (at + 2 > block.length) throw broken();
    const distance = block.readUInt16LE(at);
    at += 2;
    const match = length(token & more) + smallestMatch;
    if (distance === 0 || distance > written || written + match > to.length) throw broken();
    copyMatch(to, { written, distance, match });
    written += match;
  }
  return written;
}

/** A match may reach into what it itself writes. */
function copyMatch(
  to: Buffer,
  { written, distance, match }: Readonly<Record<"written" | "distance" | "match", number>>,
): void {
  if (distance >= match) {
    to.copyWithin(written, written - distance, written - distance + match);
    return;
  }
  for (let index = 0; index < match; index += 1)
    to[written + index] = to[written - distance + index] ?? 0;
}

function broken(): SandboxError {
  return new SandboxError("untrusted", "the kernel's image is not whole", {
    mend: "fetch it again: cofferdam kernel update",
  });
}
