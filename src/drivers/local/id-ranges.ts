import { randomInt } from "node:crypto";
import { mkdir, readdir, readlink, symlink, unlink } from "node:fs/promises";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { SandboxError } from "../../core/errors.ts";
import { isMissing, systemCode } from "../../images/file-errors.ts";

/** User and group ids of the host that are one machine's alone. */
export interface IdRange {
  readonly hostId: number;
  readonly size: number;
}

/**
 * Reservations, one link each, of all state directories of this host: from a range to the machine's directory.
 *
 * A range is free when its link is missing, or leads to a directory that is gone.
 */
const reservations = "/run/cofferdam-ids";
export const rangeSize = 65_536;
/** 0x70000000 to 0x7ffdffff: nobody's, by systemd's table of ids, and far from those of subuid. */
const first = 0x7000;
const count = 0xffe;
const tries = 64;

/** Reserves a range for the machine whose directory is already there. Throws `exhausted`. */
export async function reserveIds(directory: string): Promise<IdRange> {
  for (let attempt = 0; attempt < tries; attempt += 1) {
    const index = first + randomInt(count);
    if (await reserve(String(index), directory))
      return { hostId: index * rangeSize, size: rangeSize };
  }
  await releaseStaleIds();
  throw new SandboxError("exhausted", "no range of user ids is free on this host", {
    mend: "end other sandboxes",
  });
}

/** Taken by whoever gives a machine another range. */
export const idLock: string = join(reservations, "lock");

/** Reserves a machine's own range again. `false`: another machine has it. */
export async function reclaimIds({ hostId }: IdRange, directory: string): Promise<boolean> {
  const name = String(hostId / rangeSize);
  if (await reserve(name, directory)) return true;
  return (await readlink(join(reservations, name))) === directory;
}

async function reserve(name: string, directory: string): Promise<boolean> {
  const link = join(reservations, name);
  try {
    await symlink(directory, link);
    return true;
  } catch (error) {
    if (systemCode(error) === "EEXIST") return false;
    if (!isMissing(error)) throw error;
    await mkdir(reservations, { recursive: true, mode: 0o700 });
    return reserve(name, directory);
  }
}

/** Gives a range back. It may be gone already. */
export async function releaseIds({ hostId }: IdRange): Promise<void> {
  await removeLink(join(reservations, String(hostId / rangeSize)));
}

/** Gives back the ranges of machines that are gone. */
export async function releaseStaleIds(): Promise<void> {
  for (const name of await linkNames()) {
    const link = join(reservations, name);
    if (!existsSync(link)) await removeLink(link);
  }
}

async function linkNames(): Promise<readonly string[]> {
  try {
    return await readdir(reservations);
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}

async function removeLink(link: string): Promise<void> {
  try {
    await unlink(link);
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
}
