import { rename, writeFile } from "node:fs/promises";
import { z } from "zod";
import { SandboxError } from "../../core/errors.ts";
import { lock } from "../../images/lock.ts";
import { readJson } from "./facts.ts";
import { idLock, reclaimIds, reserveIds } from "./id-ranges.ts";
import type { MachinePlaces } from "./layout.ts";

const planIds = z
  .object({
    root: z
      .object({ idMap: z.object({ hostId: z.number(), size: z.number() }).nullable() })
      .loose(),
  })
  .loose();
/**
 * Makes sure that a paused machine's range of the host's ids is its own.
 *
 * Reservations end with the host's. Where another machine has the range by now, the plan gets a new one: the disk
 * holds the machine's own ids and fits any.
 */
export async function keepIds(places: MachinePlaces): Promise<void> {
  const { idMap } = (await planOf(places)).root;
  if (idMap === null || (await reclaimIds(idMap, places.directory))) return;
  await using _ = await lock(idLock, { whenHeld: () => undefined });
  const plan = await planOf(places);
  if (plan.root.idMap === null || (await reclaimIds(plan.root.idMap, places.directory))) return;
  const range = await reserveIds(places.directory);
  await replace(places.plan, { ...plan, root: { ...plan.root, idMap: range } });
}

async function planOf(places: MachinePlaces): Promise<z.infer<typeof planIds>> {
  const known = planIds.safeParse(await readJson(places.plan));
  if (known.success) return known.data;
  throw new SandboxError("untrusted", "the plan of the paused sandbox is not what was written", {
    cause: known.error,
  });
}

async function replace(file: string, value: unknown): Promise<void> {
  const aside = `${file}.${process.pid}`;
  await writeFile(aside, JSON.stringify(value), { mode: 0o600 });
  await rename(aside, file);
}
