import type { SnapshotInfo, SnapshotShelf } from "../../core/driver.ts";
import { ownSnapshot, ownSnapshots } from "../../wire/control/service-answers.ts";
import type { Api } from "./api.ts";
import { isGone, pagesOf } from "./calls.ts";

/** Makes a template of a running sandbox of a server of ours. Throws `already-exists` for a name that is taken. */
export async function takeSnapshot(api: Api, id: string, name: string): Promise<SnapshotInfo> {
  const path = `/cofferdam/v1/sandboxes/${id}/snapshots`;
  const call = { method: "POST", path, body: { name } } as const;
  const { driver: _, ...info } = await api.read(call, ownSnapshot, "snapshot");
  return info;
}

/** The tenant's snapshots at a server of ours; `behind`: those of one driver alone. */
export function snapshotShelf(api: Api, behind: string | undefined): SnapshotShelf {
  return {
    async *list() {
      const what = "list of snapshots";
      for await (const snapshots of pagesOf(api, "/cofferdam/v1/snapshots", {
        query: { limit: "100" },
        token: "token",
        schema: ownSnapshots,
        what,
      }))
        for (const { driver, ...info } of snapshots)
          if (behind === undefined || driver === behind) yield info;
    },
    async remove(name) {
      try {
        await api.ask({ method: "DELETE", path: `/templates/${encodeURIComponent(name)}` });
        return true;
      } catch (cause) {
        if (isGone(cause)) return false;
        throw cause;
      }
    },
  };
}
