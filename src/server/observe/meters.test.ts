import { expect, test } from "vitest";
import { driverNameOf, newSnapshotId } from "../life/snapshot-name.ts";
import { meters } from "./meters.ts";

test("sandboxes made from tenants' snapshots are counted together, and leave their labels to templates", async () => {
  const counts = meters("1.0.0");
  const created = (template: string): void =>
    counts.created({ driver: "some", template, failure: undefined, seconds: 0.1 });
  const id = newSnapshotId();
  created(driverNameOf(id));
  for (let made = 0; made < 60; made += 1) created(driverNameOf(newSnapshotId()));
  created("base");
  const text = await counts.text(() => Promise.resolve(new Map()));
  expect(text).not.toContain(id);
  expect(text).toContain('template="snapshot"} 61');
  expect(text).toContain('template="base"} 1');
});
