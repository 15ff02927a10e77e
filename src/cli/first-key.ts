import { existsSync, mkdirSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Store } from "../store/store.ts";
import { defaultTenant, tenantNamed } from "./server-store.ts";

const firstName = "first";

/**
 * Makes the first key, into a file that its owner alone can read, where there is none at all.
 *
 * Another one is made when the only good key was never used and its file is not there: a start that was cut short.
 * Returns the file, also at later starts while it is there and its key is good; `undefined`: keys are known, and none is in it.
 */
export async function firstKey(store: Store, directory: string): Promise<string | undefined> {
  const file = join(directory, "first-key");
  const keys = await store.keys.list();
  const good = keys.filter(({ revokedAt }) => revokedAt === null);
  const isLost = good.every(({ name, lastUsedAt }) => name === firstName && lastUsedAt === null);
  if (existsSync(file) && good.some(({ name }) => name === firstName)) return file;
  if (keys.length > 0 && (good.length === 0 || !isLost || existsSync(file))) return undefined;
  const tenant = await tenantNamed(store, defaultTenant);
  const { secret } = await store.keys.create({ tenantId: tenant.id, name: firstName });
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const aside = `${file}.new`;
  writeFileSync(aside, `${secret}\n`, { mode: 0o600 });
  renameSync(aside, file);
  return file;
}
