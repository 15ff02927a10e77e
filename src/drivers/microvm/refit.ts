import { rename, writeFile } from "node:fs/promises";
import { z } from "zod";
import { SandboxError } from "../../core/errors.ts";
import type { SandboxSpec } from "../../core/spec.ts";
import { readFacts, readJson } from "../local/facts.ts";
import { type IdRange, rangeSize, reclaimIds, reserveIds } from "../local/id-ranges.ts";
import type { MachinePlaces } from "../local/layout.ts";
import type { Engine } from "./engine.ts";
import { guestFiles } from "./guest-files.ts";
import { enginePlan } from "./plan.ts";

const planSchema = z
  .object({
    root: z.object({ lower: z.array(z.string()) }).loose(),
    vessel: z.object({ hostId: z.number() }).loose(),
  })
  .loose();

/**
 * Makes a paused machine's plan fit this host as it is now: engine, kernel and saved states may be others than they were when it
 * was made, and reservations of the host's ids end with the host's boot. What it keeps is files alone, which fit any.
 */
export async function refit(engine: Engine, places: MachinePlaces): Promise<void> {
  const plan = planSchema.safeParse(await readJson(places.plan));
  const facts = await readFacts(places.facts);
  if (!plan.success || facts === undefined)
    throw new SandboxError("untrusted", "the plan of the paused sandbox is not what was written");
  const { stateDir } = places;
  const spec = specOf(facts);
  const guest = await guestFiles(stateDir, plan.data.root.lower);
  const found = await engine.find();
  const idRange = await ownIds(plan.data.vessel.hostId, places.directory);
  const { hostId } = idRange;
  const vessel = await found.vessel({ stateDir, places, spec, guest, hostId, signal: undefined });
  await replace(places.plan, {
    ...plan.data,
    ...enginePlan({ places, spec, vessel, idRange }),
  });
  await replace(places.facts, { ...facts, kernel: guest.kernel });
}

/** The range that the machine had, where no other has it by now. */
async function ownIds(hostId: number, directory: string): Promise<IdRange> {
  const earlier = { hostId, size: rangeSize };
  return (await reclaimIds(earlier, directory)) ? earlier : reserveIds(directory);
}

/** What of a spec decides how a machine is started; the rest stands in its plan. */
function specOf({
  template,
  metadata,
  resources,
}: Pick<SandboxSpec, "template" | "metadata" | "resources">): SandboxSpec {
  return {
    template,
    metadata,
    resources,
    lease: { lifetimeMs: 0, idleTimeoutMs: 0, detached: false },
    egress: { allowOut: [], denyOut: [] },
    envs: {},
    seccomp: undefined,
  };
}

async function replace(file: string, value: unknown): Promise<void> {
  const aside = `${file}.${process.pid}`;
  await writeFile(aside, JSON.stringify(value), { mode: 0o600 });
  await rename(aside, file);
}
