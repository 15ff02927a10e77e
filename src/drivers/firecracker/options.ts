import { readFileSync, statSync } from "node:fs";
import { SandboxError } from "../../core/errors.ts";
import { invalid } from "../../core/validate.ts";
import type { MicrovmOptions } from "../microvm/driver.ts";

/** How much of the host's disk one machine may use. */
export interface DiskRate {
  readonly bytesPerSecond?: number;
  readonly operationsPerSecond?: number;
}

/** Options of the driver. */
export interface FirecrackerOptions extends MicrovmOptions {
  /** `saved`: machines start from the state of one that has booted. `cold`: each boots. Default `saved`. */
  readonly start?: "saved" | "cold";
  /** Limits of each machine's writable disk, held by Firecracker. Default: none. */
  readonly diskRate?: DiskRate;
  /** A compiled seccomp filter that Firecracker runs under in place of its own. Default: Firecracker's own. */
  readonly seccompFilter?: string;
}

/** A limit refills every second. Throws `invalid`. */
export function rateLimiter({ bytesPerSecond, operationsPerSecond }: DiskRate): object | undefined {
  const bandwidth = bucket("diskRate.bytesPerSecond", bytesPerSecond);
  const ops = bucket("diskRate.operationsPerSecond", operationsPerSecond);
  if (bandwidth === undefined && ops === undefined) return undefined;
  return { ...(bandwidth && { bandwidth }), ...(ops && { ops }) };
}

const refillMs = 1000;

function bucket(field: string, size: number | undefined): object | undefined {
  if (size === undefined) return undefined;
  if (!Number.isSafeInteger(size) || size < 1)
    throw invalid(field, "a rate is a whole number of at least 1");
  return { size, refill_time: refillMs };
}

const longestFilter = 1_048_576;

/** The filter's bytes, which the digest of a saved state holds, too. Throws `invalid` for a file that cannot be one. */
export function seccompFilter(path: string): Buffer {
  try {
    const { size } = statSync(path);
    if (size === 0 || size > longestFilter)
      throw invalid(
        "seccompFilter",
        `a filter has 1 to ${longestFilter} bytes, and ${path} ${size}`,
      );
    return readFileSync(path);
  } catch (cause) {
    if (cause instanceof SandboxError) throw cause;
    throw new SandboxError("invalid", `seccompFilter: ${path} cannot be read`, {
      field: "seccompFilter",
      mend: "compile one with Firecracker's seccompiler-bin",
      cause,
    });
  }
}
