import type { SandboxRecord } from "../../store/sandbox-record.ts";
import type { Store } from "../../store/store.ts";
import { isSnapshotId, shownName } from "../life/snapshot-name.ts";

/** By which a sandbox's origin is known: a template's name, or a snapshot's where it has one. */
export type AliasOf = (record: SandboxRecord) => string;

/** Aliases of the origins of some sandboxes of one tenant. */
export async function aliasesFor(
  { snapshots }: Store,
  records: readonly SandboxRecord[],
): Promise<AliasOf> {
  const ids = new Set(records.map(({ template }) => template).filter(isSnapshotId));
  if (ids.size === 0) return ({ template }) => template;
  const names = await snapshots.firstNames([...ids]);
  return ({ template }) => {
    const name = names.get(template);
    return name === undefined ? template : shownName(name);
  };
}
