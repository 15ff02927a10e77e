import { env } from "node:process";

/**
 * By what the suite's time limits are multiplied, from `COFFERDAM_PATIENCE`; 1 unless a host is far slower than a computer, as an
 * emulated one. Limits say that something does not hang; none judges speed.
 */
export const patience: number = factor(env["COFFERDAM_PATIENCE"] ?? "1");

function factor(text: string): number {
  const value = Number(text);
  if (value >= 1 && value <= 1000) return value;
  throw new Error(`COFFERDAM_PATIENCE is a number from 1 to 1000, not ${text}`);
}
