import { readFileSync } from "node:fs";
import { SandboxError } from "../../core/errors.ts";

/** The memory that this host has left for sandboxes. */
export interface HostMemory {
  /**
   * Sets memory aside for a sandbox that is being made or resumed, until it is disposed: two that are made at once do not
   * both take the last. `isPromised`: `promisedMiB` counts it already. Throws `unavailable` when the host has not the memory
   * that one more sandbox may come to use.
   */
  reserve(memoryMiB: number, options?: { readonly isPromised: boolean }): Disposable;
}

export interface HostMemoryOptions {
  /** What sandboxes that run, or are paused with their memory, may come to use in all. MiB. */
  readonly promisedMiB: () => number;
  /** How many times the host's memory may be promised to sandboxes in all; `undefined`: without a limit. */
  readonly overcommit: number | undefined;
  /** Reads what the kernel says of the host's memory; default `/proc/meminfo`, which takes less time than to wait for it. */
  readonly meminfo?: () => string;
}

/** What the host keeps for itself. */
const reserveMiB = 256;

export function hostMemory({
  promisedMiB,
  overcommit = Infinity,
  meminfo = () => readFileSync("/proc/meminfo", "utf8"),
}: HostMemoryOptions): HostMemory {
  let setAsideMiB = 0;
  let promisedAsideMiB = 0;
  return {
    reserve(memoryMiB, { isPromised } = { isPromised: false }) {
      const { totalMiB, availableMiB } = memoryIn(meminfo());
      const leftMiB = availableMiB - reserveMiB - setAsideMiB;
      if (memoryMiB > leftMiB)
        throw tooLittle(`this host has ${Math.max(0, Math.floor(leftMiB))} MiB left`, memoryMiB);
      const mostMiB = (totalMiB - reserveMiB) * overcommit;
      const newlyMiB = isPromised ? 0 : memoryMiB;
      const wantedMiB = promisedMiB() + promisedAsideMiB + newlyMiB;
      if (!isPromised && wantedMiB > mostMiB)
        throw tooLittle(`${Math.floor(mostMiB)} MiB are promised at most here`, memoryMiB);
      setAsideMiB += memoryMiB;
      promisedAsideMiB += newlyMiB;
      let isOver = false;
      return {
        [Symbol.dispose]() {
          if (isOver) return;
          setAsideMiB -= memoryMiB;
          promisedAsideMiB -= newlyMiB;
          isOver = true;
        },
      };
    },
  };
}

function tooLittle(what: string, memoryMiB: number): SandboxError {
  return new SandboxError("unavailable", `${what}, too little for a sandbox of ${memoryMiB} MiB`, {
    mend: "try again later, or end or pause sandboxes",
  });
}

interface Memory {
  readonly totalMiB: number;
  readonly availableMiB: number;
}

/** What `/proc/meminfo` says; what it does not say is without a limit. */
export function memoryIn(meminfo: string): Memory {
  const line = (name: string): number => {
    const kibibytes = new RegExp(`^${name}:\\s+(\\d{1,15}) kB$`, "m").exec(meminfo)?.[1];
    return kibibytes === undefined ? Infinity : Math.floor(Number(kibibytes) / 1024);
  };
  return { totalMiB: line("MemTotal"), availableMiB: line("MemAvailable") };
}
