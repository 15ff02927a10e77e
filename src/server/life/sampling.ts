import { SandboxError } from "../../core/errors.ts";
import type { MachineMetrics } from "../../core/driver.ts";
import type { MetricsSample } from "../../store/metrics-samples.ts";
import type { LiveSandbox } from "./live.ts";
import type { LifeParts } from "./parts.ts";

const atOnce = 16;

const minuteMs = 60_000;
const dayMs = 86_400_000;

/** The older a sandbox, the seldomer it is sampled, so that its samples of 30 days fit into what the store keeps of it. */
const paces = [
  { youngerThanMs: 60 * minuteMs, everyMs: 0 },
  { youngerThanMs: dayMs, everyMs: minuteMs },
  { youngerThanMs: Infinity, everyMs: 20 * minuteMs },
] as const;

/** Reads what every sandbox uses, and keeps it. One that ends meanwhile, or is paused, has no sample. */
export type Sampler = () => Promise<void>;

export function sampler({ live, store, log }: LifeParts): Sampler {
  const lastAt = new WeakMap<LiveSandbox, number>();
  const isDue = (sandbox: LiveSandbox, now: number): boolean => {
    const ageMs = now - sandbox.startedAt.getTime();
    const everyMs = paces.find(({ youngerThanMs }) => ageMs < youngerThanMs)?.everyMs ?? 0;
    return sandbox.gate.isOpen && now - (lastAt.get(sandbox) ?? 0) >= everyMs;
  };
  return async () => {
    const now = Date.now();
    const sandboxes = [...live.all()].filter((sandbox) => isDue(sandbox, now));
    for (const sandbox of sandboxes) lastAt.set(sandbox, now);
    for (let from = 0; from < sandboxes.length; from += atOnce) {
      const read = await Promise.allSettled(sandboxes.slice(from, from + atOnce).map(sampleOf));
      const samples = read.flatMap((each) => (each.status === "fulfilled" ? [each.value] : []));
      try {
        if (samples.length > 0) await store.metrics.append(samples);
      } catch (cause) {
        log("error", "samples could not be kept", { error: SandboxError.from(cause).message });
      }
    }
  };
}

/** What a sandbox uses now. */
export async function sampleOf({ id, machine }: LiveSandbox): Promise<MetricsSample> {
  return sample(id, await machine.metrics());
}

function sample(sandboxId: string, { timestamp, ...reading }: MachineMetrics): MetricsSample {
  return { sandboxId, at: timestamp.toISOString(), ...reading };
}
