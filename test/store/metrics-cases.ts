import { expect, test } from "vitest";
import type { MetricsSample } from "../../src/store/metrics-samples.ts";
import { metrics } from "../../src/store/metrics.ts";
import { refusalOf } from "../support/refusals.ts";
import { newSandbox, newTenant, timeFromNow } from "./rows.ts";
import { type Subject, withStore } from "./subject.ts";

function sample(sandboxId: string, index: number): MetricsSample {
  return {
    sandboxId,
    at: timeFromNow(index * 1000),
    cpuCount: 2,
    cpuUsedPercent: index + 0.5,
    memoryUsedBytes: 2 ** 40 + index,
    memoryTotalBytes: 2 ** 41,
    memoryCacheBytes: 3,
    diskUsedBytes: 4,
    diskTotalBytes: 5,
  };
}

export function metricsCases(subject: Subject): void {
  test("of each sandbox the newest samples are kept, exactly, in order", async () => {
    await withStore(subject, async (store) => {
      const { id: tenantId } = await newTenant(store);
      const [one, two] = [newSandbox(tenantId), newSandbox(tenantId)];
      for (const each of [one, two]) await store.sandboxes.create(each);
      const ring = metrics(store.database, 10);
      const samples = Array.from({ length: 25 }, (_, index) => sample(one.id, index));
      await ring.append([...samples.slice(0, 13), sample(two.id, 0)]);
      await ring.append(samples.slice(13));
      expect(await ring.between(one.id)).toEqual(samples.slice(15));
      expect(await ring.between(one.id, { limit: 2 })).toEqual(samples.slice(23));
      const range = { since: samples[17]?.at ?? "", until: samples[19]?.at ?? "" };
      expect(await ring.between(one.id, range)).toEqual(samples.slice(17, 20));
      const latest = await ring.latest([one.id, two.id, "i0"]);
      expect(latest.get(one.id)).toEqual(samples[24]);
      expect([...latest.keys()].toSorted()).toEqual([one.id, two.id].toSorted());
    });
  });

  test("samples of a sandbox that is not there are refused, those of a forgotten one are gone", async () => {
    await withStore(subject, async (store) => {
      const { id: tenantId } = await newTenant(store);
      const { id } = await store.sandboxes.create(newSandbox(tenantId));
      await store.metrics.append([sample(id, 0)]);
      expect((await refusalOf(store.metrics.append([sample("i0", 0)]))).code).toBe("not-found");
      await store.sandboxes.move(id, {
        from: "creating",
        to: "ended",
        changes: { endReason: "killed" },
      });
      expect(await store.metrics.between(id)).toHaveLength(1);
      expect(await store.sandboxes.forgetEndedBefore(timeFromNow(1000))).toBe(1);
      expect(await store.metrics.between(id)).toEqual([]);
    });
  });
}
