import { existsSync } from "node:fs";
import { join } from "node:path";
import { SandboxError } from "../core/errors.ts";
import { openStore } from "../store/open-store.ts";
import type { Store } from "../store/store.ts";
import type { Tenant } from "../store/tenant.ts";
import type { StoreWatch } from "../store/watched.ts";

/** Where a server keeps its own things, below the state directory. */
export function serverDirectory(stateDir: string): string {
  return join(stateDir, "server");
}

/** The socket by which commands of this host ask the server of the directory. */
export function localSocketIn(directory: string): string {
  return join(directory, "operator.sock");
}

/** The server's store: PostgreSQL where `DATABASE_URL` names one, else SQLite below the state directory. */
export function serverStore(stateDir: string, watch?: StoreWatch): Promise<Store> {
  const url = databaseUrl();
  return openStore(url === undefined ? { directory: serverDirectory(stateDir) } : { url }, watch);
}

/** The store of a server that was here before; none is made. Throws `not-found`. */
export async function knownStore(stateDir: string): Promise<Store> {
  const file = join(serverDirectory(stateDir), "store.sqlite");
  if (databaseUrl() !== undefined || existsSync(file)) return serverStore(stateDir);
  throw new SandboxError("not-found", `no server has run in ${stateDir}`, {
    field: "stateDir",
    mend: "name the server's with --state-dir, or start one with cofferdam serve",
  });
}

function databaseUrl(): string | undefined {
  const url = process.env["DATABASE_URL"];
  return url === "" ? undefined : url;
}

/** Whose keys are made when nobody says. */
export const defaultTenant = "default";

/** The tenant of the name, made when it is new. */
export async function tenantNamed({ tenants }: Store, name: string): Promise<Tenant> {
  return (await tenants.named(name)) ?? tenants.create({ name });
}
