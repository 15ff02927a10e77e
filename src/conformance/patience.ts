import { AsyncLocalStorage } from "node:async_hooks";
import { env } from "node:process";
import type { Availability } from "../core/driver.ts";

/**
 * By what the suite's time limits are multiplied, from `COFFERDAM_PATIENCE`; 1 unless a host is far slower than a computer, as an
 * emulated one. Limits say that something does not hang; none judges speed.
 */
export const hostPatience: number = factor(env["COFFERDAM_PATIENCE"] ?? "1");

/** The same for machines on processors that are emulated. */
const emulatedPatience = 8;

/** By what the limits of the case that runs just now are multiplied, beside that. */
const casePatience: AsyncLocalStorage<number> = new AsyncLocalStorage();

/** How many times as long as elsewhere cases may take on a driver. */
export function patienceWith(availability: Availability): number {
  return availability.ok && availability.emulated === true ? emulatedPatience : 1;
}

/** Runs a case with limits that are so many times as long. */
export function withPatience<T>(times: number, act: () => Promise<T>): Promise<T> {
  return casePatience.run(times, act);
}

/** A limit as it is for the case that runs just now. Milliseconds. */
export function patient(limitMs: number): number {
  return limitMs * hostPatience * (casePatience.getStore() ?? 1);
}

function factor(text: string): number {
  const value = Number(text);
  if (value >= 1 && value <= 1000) return value;
  throw new Error(`COFFERDAM_PATIENCE is a number from 1 to 1000, not ${text}`);
}
