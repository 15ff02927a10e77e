import { randomInt } from "node:crypto";
import { invalid } from "../../core/validate.ts";
import type { SnapshotRecord } from "../../store/snapshot-record.ts";
import type { Tenant } from "../../store/tenant.ts";

const letters = "abcdefghijklmnopqrstuvwxyz0123456789";
const driverPrefix = "server-";
const driverName = /^server-[a-z0-9]{20}$/;
const asked =
  /^(?:(?<slug>[a-z0-9-]{1,64})\/)?(?<name>[A-Za-z0-9][A-Za-z0-9._-]{0,99})(?::(?<tag>[A-Za-z0-9._-]{1,64}))?$/;
const defaultTag = "default";

/** A new snapshot's id, which is a template's to clients: 20 random letters and digits. */
export function newSnapshotId(): string {
  return Array.from({ length: 20 }, () => letters[randomInt(letters.length)]).join("");
}

/** Whether a sandbox's origin may be a snapshot; templates may have such names, too. */
export function isSnapshotId(text: string): boolean {
  return /^[a-z0-9]{20}$/.test(text);
}

/** A name of the store's as its tenant asked for it. */
export function shownName(name: string): string {
  return name.endsWith(`:${defaultTag}`) ? name.slice(0, -defaultTag.length - 1) : name;
}

/** By which its driver knows a server's snapshot; tenants never name one so. */
export function driverNameOf(snapshotId: string): string {
  return `${driverPrefix}${snapshotId}`;
}

/** The id of a server's snapshot that a driver knows by this name; `undefined`: it is somebody else's template. */
export function snapshotIdIn(name: string): string | undefined {
  return driverName.test(name) ? name.slice(driverPrefix.length) : undefined;
}

/** How a tenant's name stands before its snapshots' names. */
function slugOf({ name }: Tenant): string {
  const slug = name.toLowerCase().replaceAll(/[^a-z0-9]+/g, "-");
  return slug.replaceAll(/^-+|-+$/g, "").slice(0, 64) || "tenant";
}

/** A name as the store has it, `<name>:<tag>`. Throws `invalid` for what is none, or another's. */
export function nameToTake(text: string, tenant: Tenant): string {
  const name = nameAskedFor(text, tenant);
  if (name !== undefined) return name;
  throw invalid(
    "name",
    `expected letters, digits, dots, dashes and underscores, with ${slugOf(tenant)}/ before them and a :tag behind them at most`,
  );
}

/** The same for one that may be there; `undefined`: no snapshot of the tenant can have it. */
export function nameAskedFor(text: string, tenant: Tenant): string | undefined {
  const { slug, name, tag = defaultTag } = asked.exec(text)?.groups ?? {};
  const isOwn = slug === undefined || slug === slugOf(tenant);
  return name === undefined || !isOwn ? undefined : `${name}:${tag}`;
}

/** The id that a text may mean. */
export function idAskedFor(text: string): string {
  return text.replace(/:default$/, "");
}

export interface PublicNames {
  /** By which clients name it: its first name, else its id, each with a tag. */
  readonly snapshotId: string;
  readonly names: readonly string[];
}

export function publicNames({ id, names }: SnapshotRecord, tenant: Tenant): PublicNames {
  const full = names.map((name) => `${slugOf(tenant)}/${name}`);
  return { snapshotId: full[0] ?? `${id}:${defaultTag}`, names: full };
}
