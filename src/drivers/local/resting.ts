import { existsSync } from "node:fs";
import { z } from "zod";
import type { ControlInfo } from "../../guest/control-messages.ts";
import type { Resting } from "../../guest/access.ts";
import { SandboxError } from "../../core/errors.ts";
import { keepIds } from "./kept-ids.ts";
import { readJson } from "./facts.ts";
import type { MachinePlaces } from "./layout.ts";
import type { Runtime } from "./runtime.ts";
import { discardMachine, resumeMachine } from "./supervisor.ts";

const time = z.iso.datetime({ offset: true }).transform((text) => new Date(text));

/** The page that a supervisor writes last and removes first. */
const page = z.object({
  version: z.literal(1),
  startedAt: time,
  endAt: time,
  idleTimeoutMs: z.number().nonnegative(),
  detached: z.boolean(),
  agentVersion: z.string(),
  protocolVersion: z.string(),
  memory: z.object({ sizeBytes: z.number() }).optional(),
});

/** What answers for a machine of this directory while it is paused and has no supervisor. */
export function restingMachine(
  places: MachinePlaces,
  usable: () => Promise<Pick<Runtime, "version">>,
): Resting {
  return {
    info: () => restingInfo(places),
    async hasMemory() {
      const known = page.safeParse(await readJson(places.paused));
      return known.data?.memory !== undefined;
    },
    async resume(lifetimeMs, from) {
      const { version } = await usable();
      await keepIds(places);
      await resumeMachine(places, { lifetimeMs, version, from });
    },
    discard: () => discardMachine(places),
  };
}

/** What the page of a paused machine says; `undefined` when it is not paused. Throws `untrusted` for a page that is none. */
export async function restingInfo(places: MachinePlaces): Promise<ControlInfo | undefined> {
  const written = await readJson(places.paused);
  if (written === undefined && !existsSync(places.paused)) return undefined;
  const parsed = page.safeParse(written);
  if (parsed.success) {
    const { version: _, memory: __, ...info } = parsed.data;
    return { ...info, state: "paused", supervisorPid: 0 };
  }
  throw new SandboxError("untrusted", "the page of the paused sandbox is not what was written", {
    cause: parsed.error,
  });
}
