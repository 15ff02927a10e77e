import { writeSync } from "node:fs";
import { openAuditLog } from "../../src/audit/audit-log.ts";
import { openStore } from "../../src/store/open-store.ts";
import { entry } from "./audit-entries.ts";
import { newSandbox, newTenant } from "./rows.ts";

/** A program that writes without end, and says on its standard output what is written. To be killed. */
const place: unknown = JSON.parse(process.argv[2] ?? "");
if (typeof place !== "object" || place === null) throw new Error("no place was given");
const store = await openStore(
  "url" in place
    ? { url: String(place.url) }
    : { directory: String("directory" in place && place.directory) },
);
const log = openAuditLog(store);
const tenant = await newTenant(store);
for (;;) await Promise.all(Array.from({ length: 4 }, writeOne));

async function writeOne(): Promise<void> {
  const { id } = await store.sandboxes.create(newSandbox(tenant.id, { metadata: { a: "b" } }));
  const { seq } = await log.append(entry({ sandboxId: id }));
  writeSync(1, `${JSON.stringify({ id, seq, state: "creating" })}\n`);
  await store.sandboxes.move(id, { from: "creating", to: "running" });
  writeSync(1, `${JSON.stringify({ id, seq, state: "running" })}\n`);
}
