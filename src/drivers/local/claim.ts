import { existsSync, mkdirSync, rmSync } from "node:fs";
import { stat } from "node:fs/promises";
import { dirname } from "node:path";
import { SandboxError } from "../../core/errors.ts";
import type { SandboxSpec } from "../../core/spec.ts";
import { invalid } from "../../core/validate.ts";
import { fileError, isMissing, systemCode } from "../../images/file-errors.ts";
import { guestLayer } from "../../images/guest-layer.ts";
import { type IdRange, releaseIds } from "./id-ranges.ts";
import type { MachinePlaces } from "./layout.ts";
import { isMachineId, newMachineId } from "./machine-id.ts";
import { sweepMachines } from "./supervisor.ts";

/** The id that the spec names, or a new one. Throws `invalid` for what is no id. */
export function machineIdOf({ id }: SandboxSpec): string {
  if (id === undefined) return newMachineId();
  if (isMachineId(id)) return id;
  throw invalid("id", "an id is i and 20 lower-case letters and digits");
}

/**
 * Makes the machine's directory, which only one of all who want its id does. Throws `already-exists`.
 *
 * Small files on a local disk are written at once, which takes less time than handing each to another thread.
 */
export function claimDirectory(places: MachinePlaces): void {
  try {
    makeDirectory(places);
  } catch (error) {
    if (systemCode(error) !== "EEXIST") throw fileError(error, "make a sandbox");
    throw new SandboxError("already-exists", `there is a sandbox ${places.id}`, {
      field: "id",
      cause: error,
    });
  }
}

function makeDirectory(places: MachinePlaces): void {
  try {
    mkdirSync(places.directory, { mode: 0o700 });
  } catch (error) {
    if (!isMissing(error)) throw error;
    mkdirSync(places.stateDir, { recursive: true, mode: 0o711 });
    mkdirSync(dirname(places.directory), { recursive: true, mode: 0o700 });
    mkdirSync(places.directory, { mode: 0o700 });
  }
}

/** Gives a claimed directory back. Most often the supervisor has undone everything; what it could not is swept. */
export async function undoClaim(
  places: MachinePlaces,
  idRange: IdRange | undefined,
): Promise<void> {
  if (existsSync(places.lock)) await sweepMachines(places.stateDir);
  else rmSync(places.directory, { recursive: true, force: true });
  if (idRange !== undefined) await releaseIds(idRange);
}

/** Guest layers by state directory, so that a machine costs one `stat` for it. */
const layers: Map<string, Promise<string>> = new Map();

export async function knownGuestLayer(stateDir: string): Promise<string> {
  const earlier = layers.get(stateDir);
  if (earlier !== undefined && (await isThere(earlier))) return earlier;
  const layer = guestLayer(stateDir);
  layers.set(stateDir, layer);
  layer.catch(() => layers.delete(stateDir));
  return layer;
}

async function isThere(layer: Promise<string>): Promise<boolean> {
  try {
    await stat(await layer);
    return true;
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}
