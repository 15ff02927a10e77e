/** A place of a machine that can be written to: memory of its own. */
export interface WritablePlace {
  readonly path: string;
  readonly mode: string;
  /** Its share of the disk, in 32 parts. */
  readonly parts: number;
}

export const partsOfDisk = 32;

/** All of them. The rest of the root is the image, which nothing can be written to. */
export const writablePlaces: readonly WritablePlace[] = [
  { path: "/home", mode: "755", parts: 14 },
  { path: "/tmp", mode: "1777", parts: 14 },
  { path: "/var/tmp", mode: "1777", parts: 2 },
  { path: "/root", mode: "700", parts: 1 },
  { path: "/run", mode: "755", parts: 1 },
];

/** Where an image keeps what its writable places hold at first. */
export const skeletonName = ".cofferdam-skeleton";

/** Where the agent and the kernels are in a machine. */
export const guestPlace = "/.cofferdam";
