/** All 32-bit numbers whose bits below `mask` are those of `value`. */
export interface MaskedValue {
  readonly mask: number;
  readonly value: number;
}

/**
 * All 32-bit numbers but these, as masks: a filter can compare under a mask for equality alone, and must look at the lower half
 * only, as the kernel does.
 */
export function allBut(numbers: readonly number[]): readonly MaskedValue[] {
  return below({ mask: 0, value: 0 }, 31, numbers);
}

/** What is left of the numbers that begin as `prefix` does, where `taken` are those of them that are not. */
function below(prefix: MaskedValue, bit: number, taken: readonly number[]): readonly MaskedValue[] {
  if (taken.length === 0) return [prefix];
  if (bit < 0) return [];
  return [0, 1].flatMap((digit) => {
    const half = taken.filter((number) => ((number >>> bit) & 1) === digit);
    const mask = (prefix.mask | (1 << bit)) >>> 0;
    return below({ mask, value: (prefix.value | (digit << bit)) >>> 0 }, bit - 1, half);
  });
}
