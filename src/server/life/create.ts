import type { Driver, Machine } from "../../core/driver.ts";
import { SandboxError } from "../../core/errors.ts";
import type { SandboxSpec } from "../../core/spec.ts";
import type { NewSandbox as NewRow, SandboxRecord } from "../../store/sandbox-record.ts";
import type { Authenticated } from "../../store/api-key.ts";
import { begin } from "./live.ts";
import { networkOf } from "./network.ts";
import { type LifeParts, driverNamed } from "./parts.ts";
import { newSandboxId, newToken } from "./secrets.ts";
import { type TemplateFacts, ownName } from "./template-catalog.ts";
import {
  type Wish,
  driverKey,
  lifetimeOf,
  metadataOf,
  requireEnforced,
  requirePossible,
  specOf,
} from "./wanted.ts";

/** Makes a sandbox: its row is written before its machine is made, so that no machine is ever without one. */
export async function createSandbox(
  parts: LifeParts,
  wish: Wish,
  { by, signal }: { readonly by: Authenticated; readonly signal: AbortSignal },
): Promise<SandboxRecord> {
  const template = await templateOf(parts, wish, by.tenant.id);
  const driver = driverOf(parts, wish, template.defaultDriver);
  requirePossible(wish, driver);
  const network = networkOf(wish.network ?? {}, driver, wish.secure);
  const id = newSandboxId();
  const accessToken = wish.secure ? newToken() : "";
  const lifetimeMs = lifetimeOf(wish.timeout, by.tenant.limits);
  const spec = specOf(wish, { id, accessToken, lifetimeMs, template });
  requireEnforced(spec, driver);
  using _ = await parts.memory.reserve(spec.resources.memoryMiB);
  const now = Date.now();
  const secrets = {
    envdAccessToken: wish.secure ? accessToken : null,
    trafficAccessToken: network.allowPublicTraffic ? null : newToken(),
    envs: spec.envs,
  };
  const row: NewRow = {
    id,
    tenantId: by.tenant.id,
    keyId: by.key.id,
    host: parts.host,
    driver: driver.name,
    template: template.name,
    metadata: metadataOf(wish),
    resources: spec.resources,
    startedAt: new Date(now).toISOString(),
    endAt: new Date(now + lifetimeMs).toISOString(),
    lifetimeMs,
    idleTimeoutMs: wish.idleTimeoutMs ?? 0,
    onTimeout: wish.autoPause === true ? "pause" : "kill",
    pauseKeeps: wish.autoPauseMemory === false ? "files" : "memory",
    autoResume: wish.autoResume?.enabled === true,
    domain: parts.domain,
    network,
    secrets,
  };
  parts.making.add(id);
  try {
    await parts.store.sandboxes.create(row);
    const { machine, record } = await made(parts, { id, driver, spec, signal });
    begin(parts.live.add({ record, secrets }, machine), record);
    return record;
  } finally {
    parts.making.delete(id);
  }
}

interface Making {
  readonly id: string;
  readonly driver: Driver;
  readonly spec: SandboxSpec;
  readonly signal: AbortSignal;
}

/** The machine, with its row confirmed; whatever fails, neither is left. */
async function made(
  { store, log }: LifeParts,
  { id, driver, spec, signal }: Making,
): Promise<{ readonly machine: Machine; readonly record: SandboxRecord }> {
  let machine: Machine | undefined;
  try {
    machine = await driver.create(spec, signal);
    const { endAt, protocolVersion } = await machine.info();
    const record = await store.sandboxes.move(id, {
      from: "creating",
      to: "running",
      changes: { endAt: endAt.toISOString(), agentVersion: protocolVersion },
    });
    return { machine, record };
  } catch (cause) {
    await undo().catch((failure: unknown) =>
      log("error", "a creation is undone later", {
        sandboxId: id,
        error: SandboxError.from(failure).message,
      }),
    );
    throw cause;

    async function undo(): Promise<void> {
      await machine?.[Symbol.asyncDispose]();
      const endReason = `not made: ${SandboxError.from(cause).code}`;
      await store.sandboxes.move(id, { from: "creating", to: "ended", changes: { endReason } });
    }
  }
}

type Chosen = TemplateFacts & { readonly defaultDriver: string | null };

/** The template that the tenant may use by this name. Throws `not-found`. */
async function templateOf(
  { store, catalog }: LifeParts,
  { templateID }: Wish,
  tenantId: string,
): Promise<Chosen> {
  const name = ownName(templateID);
  const known = await store.templates.find(name);
  const isOthers = known !== undefined && known.tenantId !== null && known.tenantId !== tenantId;
  const facts = isOthers && !known.isPublic ? undefined : await catalog.find(known?.name ?? name);
  if (facts !== undefined) return { ...facts, defaultDriver: known?.defaultDriver ?? null };
  throw new SandboxError("not-found", `template '${templateID.slice(0, 128)}' not found`, {
    field: "templateID",
    mend: "`cofferdam template ls` on the server's host lists those that are there",
  });
}

function driverOf(parts: LifeParts, wish: Wish, ofTemplate: string | null): Driver {
  if (wish.driver != null) return driverNamed(parts, wish.driver, "driver");
  const asked = wish.metadata?.[driverKey];
  if (asked !== undefined) return driverNamed(parts, asked, `metadata.${driverKey}`);
  return driverNamed(parts, ofTemplate ?? parts.defaultDriver, "templateID");
}
