import type { Driver, Machine } from "../../core/driver.ts";
import { SandboxError } from "../../core/errors.ts";
import type { SandboxSpec } from "../../core/spec.ts";
import type { Authenticated } from "../../store/api-key.ts";
import type { NewSandbox as NewRow, SandboxRecord } from "../../store/sandbox-record.ts";
import { begin } from "./live.ts";
import type { LifeParts } from "./parts.ts";
import { roomFor } from "./room.ts";
import { newSandboxId, newToken } from "./secrets.ts";
import { requireEnforced } from "./wanted.ts";

/** A sandbox as it is to be made. */
export interface Plan {
  readonly driver: Driver;
  /** All that its driver is told, but who it is. */
  readonly spec: Omit<SandboxSpec, "id" | "accessToken">;
  /** Whether its agent asks for an access token. */
  readonly secure: boolean;
  /** Whether its other ports ask for none. */
  readonly isPublic: boolean;
  readonly row: Pick<
    NewRow,
    | "template"
    | "metadata"
    | "network"
    | "idleTimeoutMs"
    | "onTimeout"
    | "pauseKeeps"
    | "autoResume"
  >;
}

export interface Asked {
  readonly by: Authenticated;
  readonly signal: AbortSignal;
}

/** Makes a sandbox: its row is written before its machine is made, so that no machine is ever without one. */
export async function makeSandbox(
  parts: LifeParts,
  { driver, spec: planned, secure, isPublic, row }: Plan,
  { by, signal }: Asked,
): Promise<SandboxRecord> {
  const id = newSandboxId();
  const accessToken = secure ? newToken() : "";
  const spec = { ...planned, id, accessToken };
  requireEnforced(spec, driver);
  const { memoryMiB, diskMiB } = spec.resources;
  const wanted = { tenantId: by.tenant.id, memoryMiB, isPromised: false, diskMiB, signal };
  using _ = await roomFor(parts, wanted);
  const now = Date.now();
  const { lifetimeMs } = spec.lease;
  const secrets = {
    envdAccessToken: secure ? accessToken : null,
    trafficAccessToken: isPublic ? null : newToken(),
    envs: spec.envs,
  };
  parts.making.add(id);
  try {
    const { template, metadata, network, idleTimeoutMs, onTimeout, pauseKeeps, autoResume } = row;
    await parts.store.sandboxes.create({
      template,
      metadata,
      network,
      idleTimeoutMs,
      onTimeout,
      pauseKeeps,
      autoResume,
      id,
      tenantId: by.tenant.id,
      keyId: by.key.id,
      host: parts.host,
      driver: driver.name,
      resources: spec.resources,
      startedAt: new Date(now).toISOString(),
      endAt: new Date(now + lifetimeMs).toISOString(),
      lifetimeMs,
      domain: parts.domain,
      secrets,
    });
    const { machine, record } = await made(parts, { driver, spec, signal });
    begin(parts.live.add({ record, secrets }, machine), record);
    return record;
  } finally {
    parts.making.delete(id);
  }
}

interface Making {
  readonly driver: Driver;
  readonly spec: SandboxSpec & { readonly id: string };
  readonly signal: AbortSignal;
}

/** The machine, with its row confirmed; whatever fails, neither is left. */
async function made(
  { store, log }: LifeParts,
  { driver, spec, signal }: Making,
): Promise<{ readonly machine: Machine; readonly record: SandboxRecord }> {
  const { id } = spec;
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
