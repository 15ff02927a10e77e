/** Bytes cut into pieces of the given sizes, as a socket may deliver them. */
export function cutAnywhere(bytes: Uint8Array, sizes: Iterator<number>): readonly Uint8Array[] {
  const pieces: Uint8Array[] = [];
  for (let from = 0; from < bytes.length;) {
    const size = Number(sizes.next().value);
    pieces.push(bytes.subarray(from, from + size));
    from += size;
  }
  return pieces;
}
