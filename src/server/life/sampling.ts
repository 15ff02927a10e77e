import { SandboxError } from "../../core/errors.ts";
import type { MachineMetrics } from "../../core/driver.ts";
import type { MetricsSample } from "../../store/metrics-samples.ts";
import type { LiveSandbox } from "./live.ts";
import type { LifeParts } from "./parts.ts";

const atOnce = 16;

/** Reads what every sandbox uses, and keeps it. A sandbox that ends meanwhile has no sample. */
export async function sampleAll({ live, store, log }: LifeParts): Promise<void> {
  const sandboxes = [...live.all()];
  for (let from = 0; from < sandboxes.length; from += atOnce) {
    const read = await Promise.allSettled(sandboxes.slice(from, from + atOnce).map(sampleOf));
    const samples = read.flatMap((each) => (each.status === "fulfilled" ? [each.value] : []));
    try {
      if (samples.length > 0) await store.metrics.append(samples);
    } catch (cause) {
      log("error", "samples could not be kept", { error: SandboxError.from(cause).message });
    }
  }
}

/** What a sandbox uses now. */
export async function sampleOf({ id, machine }: LiveSandbox): Promise<MetricsSample> {
  return sample(id, await machine.metrics());
}

function sample(sandboxId: string, { timestamp, ...reading }: MachineMetrics): MetricsSample {
  return { sandboxId, at: timestamp.toISOString(), ...reading };
}
