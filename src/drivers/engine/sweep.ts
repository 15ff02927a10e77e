import { z } from "zod";
import { isMakerGone } from "../local/maker.ts";
import { sweepEngine } from "../local/supervisor.ts";
import { type Engine, connectEngine, read } from "./engine.ts";
import { askEngine, tellEngine } from "./http.ts";
import type { Settings } from "./options.ts";

const listed = z.array(
  z.object({ Id: z.string(), Created: z.number(), Labels: z.record(z.string(), z.string()) }),
);

/** Nobody takes that long to fill a volume. */
const fillingMs = 5 * 60_000;

/** Gives back what dead processes left at the Engine. Returns the ids of the machines that it removed. */
export async function sweepAll({ stateDir, socket }: Settings): Promise<readonly string[]> {
  const engine = await connectEngine(socket());
  await removeCarriers(engine);
  return sweepEngine(stateDir, engine);
}

/** Containers by which a volume was to be filled, that were never started. */
async function removeCarriers(engine: Engine): Promise<void> {
  const filters = JSON.stringify({ label: ["cofferdam.filling"] });
  const query = { all: "1", filters };
  const text = await tellEngine(engine, { method: "GET", path: "/containers/json", query });
  for (const { Id, Created, Labels } of read(listed, text))
    if (Date.now() - Created * 1000 > fillingMs || isMakerGone(Labels["cofferdam.maker"] ?? ""))
      await askEngine(engine, {
        method: "DELETE",
        path: `/containers/${Id}`,
        query: { force: "1" },
      });
}

/** How long after the first use a process looks for what dead ones left behind. Milliseconds. */
const sweepDelayMs = 100;

/** Sweeps once for a process, beside whatever that does. What it could not, the next one tries. */
export function sweeper(settings: Settings): () => void {
  let done = false;
  return () => {
    if (done) return;
    done = true;
    setTimeout(() => {
      sweepAll(settings).catch(() => undefined);
    }, sweepDelayMs).unref();
  };
}
