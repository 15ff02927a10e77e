import { lstat, readFile, readdir, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { z } from "zod";
import { isMissing } from "./file-errors.ts";

/** A machine that was just made may have resolved a directory and not written its plan yet. */
const graceMs = 60_000;
const pages = [
  ["machines", "plan.json"],
  ["snapshots", "snapshot.json"],
] as const;
const plan = z.object({ root: z.object({ lower: z.array(z.string()) }) });

/** Machines and snapshots by the directories that lie under their roots; read from their pages in the state directory. */
export async function machinesByLayer(
  stateDir: string,
): Promise<ReadonlyMap<string, readonly string[]>> {
  const uses = new Map<string, string[]>();
  for (const [kind, page] of pages)
    for (const name of await names(join(stateDir, kind)))
      for (const layer of await layersOf(join(stateDir, kind, name, page))) {
        const users = uses.get(layer) ?? [];
        users.push(name);
        uses.set(layer, users);
      }
  return uses;
}

async function layersOf(file: string): Promise<readonly string[]> {
  try {
    return plan.parse(JSON.parse(await readFile(file, "utf8"))).root.lower;
  } catch (error) {
    if (isMissing(error) || error instanceof SyntaxError || error instanceof z.ZodError) return [];
    throw error;
  }
}

/** Removes the guest layers that no machine uses, the one to be kept aside. */
export async function pruneUnused(directory: string, kept: string): Promise<void> {
  const uses = await machinesByLayer(dirname(directory));
  for (const name of await names(directory)) {
    const path = join(directory, name);
    if (name !== kept && !uses.has(path) && (await isOld(path)))
      await rm(path, { recursive: true, force: true });
  }
}

async function isOld(path: string): Promise<boolean> {
  try {
    return Date.now() - (await lstat(path)).ctimeMs > graceMs;
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}

/** Names in a directory; none when it is not there. */
export async function names(directory: string): Promise<readonly string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}
