import { statfsSync } from "node:fs";
import { SandboxError } from "../../core/errors.ts";

/** The room that this host's disk has left for sandboxes. */
export interface HostDisk {
  /**
   * Sets room aside for what is being made, until it is disposed: two that are made at once do not both take the last.
   * `isPromised`: what is made is no sandbox, and its room is taken at once. Throws `disk-full`.
   */
  reserve(diskMiB: number, options?: { readonly isPromised: boolean }): Disposable;
}

export interface HostDiskOptions {
  /** What sandboxes, running and paused, may come to write in all. MiB. */
  readonly promisedMiB: () => number;
  /** How many times the disk may be promised to sandboxes in all; `undefined`: without a limit. */
  readonly overcommit: number | undefined;
  /** Reads how large the disk that holds machines is, and what is free. */
  readonly room: () => DiskRoom;
}

export interface DiskRoom {
  readonly totalMiB: number;
  readonly freeMiB: number;
}

/** What the host keeps for itself: 512 MiB, or a fiftieth of the disk where that is more. */
function reserveOf({ totalMiB }: DiskRoom): number {
  return Math.max(512, Math.floor(totalMiB / 50));
}

export function hostDisk({ promisedMiB, overcommit = Infinity, room }: HostDiskOptions): HostDisk {
  let setAsideMiB = 0;
  let promisedAsideMiB = 0;
  return {
    reserve(diskMiB, { isPromised } = { isPromised: false }) {
      const disk = room();
      const leftMiB = disk.freeMiB - reserveOf(disk) - setAsideMiB;
      if (diskMiB > leftMiB)
        throw tooLittle(
          `this host has ${Math.max(0, Math.floor(leftMiB))} MiB of disk left`,
          diskMiB,
        );
      const mostMiB = (disk.totalMiB - reserveOf(disk)) * overcommit;
      const newlyMiB = isPromised ? 0 : diskMiB;
      if (!isPromised && promisedMiB() + promisedAsideMiB + newlyMiB > mostMiB)
        throw tooLittle(`${Math.floor(mostMiB)} MiB of disk are promised at most here`, diskMiB);
      setAsideMiB += diskMiB;
      promisedAsideMiB += newlyMiB;
      let isOver = false;
      return {
        [Symbol.dispose]() {
          if (isOver) return;
          setAsideMiB -= diskMiB;
          promisedAsideMiB -= newlyMiB;
          isOver = true;
        },
      };
    },
  };
}

function tooLittle(what: string, diskMiB: number): SandboxError {
  return new SandboxError("disk-full", `${what}, too little for a sandbox of ${diskMiB} MiB`, {
    field: "resources.diskMiB",
    mend: "end sandboxes, or remove snapshots and templates",
  });
}

/** The room of the disk that holds a directory. */
export function diskRoom(directory: string): DiskRoom {
  const { blocks, bavail, bsize } = statfsSync(directory);
  const inMiB = (count: number): number => Math.floor((count * bsize) / 1_048_576);
  return { totalMiB: inMiB(blocks), freeMiB: inMiB(bavail) };
}
