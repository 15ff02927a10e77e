import type { AuditLog } from "../../audit/audit-log.ts";
import type { InTurn } from "../../core/at-most.ts";
import type { Driver } from "../../core/driver.ts";
import { SandboxError } from "../../core/errors.ts";
import type { Store } from "../../store/store.ts";
import type { Log } from "../log.ts";
import type { HostDisk } from "./host-disk.ts";
import type { HostMemory } from "./host-memory.ts";
import type { LiveSandboxes } from "./live.ts";
import type { OwnerLeases } from "./owner-leases.ts";
import type { TemplateCatalog } from "./template-catalog.ts";
import type { Turnstile } from "./turnstile.ts";

/** What the keeper of sandboxes works with. */
export interface LifeParts {
  readonly store: Store;
  /** Stands in the rows of sandboxes whose machines are here; other hosts may share the store. */
  readonly host: string;
  /** Where drivers keep machines. */
  readonly stateDir: string;
  readonly audit: AuditLog;
  /** By name. */
  readonly drivers: ReadonlyMap<string, Driver>;
  /** The driver of sandboxes for which nobody names one. */
  readonly defaultDriver: string;
  readonly catalog: TemplateCatalog;
  /** Below which sandboxes have host names; may carry a port. */
  readonly domain: string;
  readonly live: LiveSandboxes;
  readonly memory: HostMemory;
  /** Through which go those that are made or resumed: each wants all of its memory, and most of a processor, at once. */
  readonly turnstile: Turnstile;
  readonly disk: HostDisk;
  readonly leases: OwnerLeases;
  /** Ends that nobody waits for one by one take their turn: of hundreds that are due at once, some are under way. */
  readonly ends: InTurn;
  /** Ids of sandboxes that are being made now. */
  readonly making: Set<string>;
  /** Ids of snapshots that are being taken now. */
  readonly taking: Set<string>;
  readonly log: Log;
}

/** Marks machines that a server has made, so that it ends no other. */
export const serverMark = "cofferdam.server";

/** Throws `invalid` with the field for a name that no driver has. */
export function driverNamed({ drivers }: LifeParts, name: string, field: string): Driver {
  const driver = drivers.get(name);
  if (driver !== undefined) return driver;
  throw new SandboxError(
    "invalid",
    `${field}: there is no driver ${JSON.stringify(name.slice(0, 40))} here; there are ${[...drivers.keys()].join(", ")}`,
    { field, mend: "name one of these, or none" },
  );
}

/** How to find those that are there. */
export const sandboxMend = "GET /v2/sandboxes and `cofferdam ls` list yours";

export function noSandbox(id: string, cause?: unknown): SandboxError {
  return new SandboxError("not-found", `there is no sandbox ${id.slice(0, 64)}`, {
    mend: sandboxMend,
    cause,
  });
}
