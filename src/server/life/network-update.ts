import type { Driver } from "../../core/driver.ts";
import type { SandboxRecord } from "../../store/sandbox-record.ts";
import type { NetworkUpdate } from "../../wire/control/new-sandbox.ts";
import { deniedBy, reportedNetwork, requireNoWayOut, unsupported } from "./network.ts";
import type { LifeParts } from "./parts.ts";

/** Replaces what may leave a sandbox. Throws `unsupported` for what nothing here enforces. */
export async function setNetwork(
  { store }: LifeParts,
  { record, driver }: { readonly record: SandboxRecord; readonly driver: Driver },
  update: NetworkUpdate,
): Promise<void> {
  requireNoWayOut(update, driver, "");
  if (update.allow_internet_access === true)
    throw unsupported(
      "allow_internet_access",
      `nothing can leave a sandbox of the driver ${driver.name}`,
    );
  const { allowPublicTraffic, maskRequestHost } = reportedNetwork(record.network);
  await store.sandboxes.setNetwork(record.id, {
    allowPublicTraffic,
    ...(maskRequestHost === undefined ? {} : { maskRequestHost }),
    ...deniedBy(update),
  });
}
