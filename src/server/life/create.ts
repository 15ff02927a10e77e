import type { Driver } from "../../core/driver.ts";
import { SandboxError } from "../../core/errors.ts";
import type { Resources } from "../../core/spec.ts";
import { invalid } from "../../core/validate.ts";
import type { SandboxRecord } from "../../store/sandbox-record.ts";
import type { Tenant } from "../../store/tenant.ts";
import { type Asked, makeSandbox } from "./make.ts";
import { networkOf } from "./network.ts";
import { type LifeParts, driverNamed } from "./parts.ts";
import { driverNameOf } from "./snapshot-name.ts";
import { findSnapshot } from "./snapshots.ts";
import { ownName } from "./template-catalog.ts";
import { type Wish, driverKey, lifetimeOf, metadataOf, requirePossible, specOf } from "./wanted.ts";

/** Makes a sandbox of a template or a snapshot, as it was wished for. */
export async function createSandbox(
  parts: LifeParts,
  wish: Wish,
  asked: Asked,
): Promise<SandboxRecord> {
  const { tenant } = asked.by;
  const origin = await originOf(parts, wish, tenant);
  const driver = driverOf(parts, wish, origin);
  requirePossible(wish, driver);
  const network = networkOf(wish.network ?? {}, driver, wish.secure);
  const lifetimeMs = lifetimeOf(wish.timeout, tenant.limits);
  const plan = {
    driver,
    spec: specOf(wish, {
      lifetimeMs,
      template: origin.name,
      resources: origin.resources,
      fixed: origin.fixed,
    }),
    secure: wish.secure,
    isPublic: network.allowPublicTraffic,
    row: {
      template: origin.shown,
      metadata: metadataOf(wish),
      network,
      idleTimeoutMs: wish.idleTimeoutMs ?? 0,
      onTimeout: wish.autoPause === true ? "pause" : "kill",
      pauseKeeps: wish.autoPauseMemory === false ? "files" : "memory",
      autoResume: wish.autoResume?.enabled === true,
    },
  } as const;
  const record = await makeSandbox(parts, plan, asked);
  const sandbox = parts.live.get(record.id);
  if (wish.leaseMs != null && sandbox !== undefined) {
    sandbox.leaseMs = wish.leaseMs;
    parts.leases.renew(record.id, wish.leaseMs);
  }
  return record;
}

/** What a sandbox is made from. */
interface Origin {
  /** By which the driver knows it. */
  readonly name: string;
  /** By which clients do. */
  readonly shown: string;
  /** Limits where nobody says. */
  readonly resources: Partial<Resources>;
  /** Limits whatever anybody says. */
  readonly fixed: Partial<Resources>;
  /** `null`: any driver, and the server's where nobody says. */
  readonly driver: string | null;
  /** Whether no other driver can use it. */
  readonly isOfDriver: boolean;
}

/** The template or snapshot that the tenant may use by this name. Throws `not-found`. */
async function originOf(parts: LifeParts, { templateID }: Wish, tenant: Tenant): Promise<Origin> {
  const { store, catalog } = parts;
  const name = ownName(templateID);
  const known = await store.templates.find(name);
  const isOthers = known !== undefined && known.tenantId !== null && known.tenantId !== tenant.id;
  const facts = isOthers && !known.isPublic ? undefined : await catalog.find(known?.name ?? name);
  if (facts !== undefined)
    return {
      name: facts.name,
      shown: facts.name,
      resources: facts.resources,
      fixed: {},
      driver: known?.defaultDriver ?? null,
      isOfDriver: false,
    };
  const snapshot = await findSnapshot(parts, templateID, tenant);
  if (snapshot !== undefined) {
    const { id, resources, driver } = snapshot;
    const fixed = { diskMiB: resources.diskMiB };
    return { name: driverNameOf(id), shown: id, resources, fixed, driver, isOfDriver: true };
  }
  throw new SandboxError("not-found", `template '${templateID.slice(0, 128)}' not found`, {
    field: "templateID",
    mend: "`cofferdam template ls` on the server's host lists those that are there",
  });
}

function driverOf(parts: LifeParts, wish: Wish, origin: Origin): Driver {
  const { field, name } = driverAsked(wish);
  if (name === undefined)
    return driverNamed(parts, origin.driver ?? parts.defaultDriver, "templateID");
  const driver = driverNamed(parts, name, field);
  if (origin.isOfDriver && driver.name !== origin.driver)
    throw invalid(field, `the snapshot is of the driver ${origin.driver}, and no other can use it`);
  return driver;
}

function driverAsked({ driver, metadata }: Wish): {
  readonly field: string;
  readonly name: string | undefined;
} {
  if (driver != null) return { field: "driver", name: driver };
  return { field: `metadata.${driverKey}`, name: metadata?.[driverKey] };
}
