import { SandboxError } from "../../core/errors.ts";
import type { Driver } from "../../core/driver.ts";
import { type SandboxOptions, parseSandboxOptions } from "../../core/options.ts";
import type { Resources, SandboxSpec } from "../../core/spec.ts";
import { invalid } from "../../core/validate.ts";
import type { TenantLimits } from "../../store/tenant.ts";
import type { NewOwnSandbox } from "../../wire/control/new-sandbox.ts";
import { unsupported } from "./network.ts";
import { leaseMark } from "./owner-leases.ts";
import { serverMark } from "./parts.ts";
import { pauseMend } from "./power.ts";

/** A request for a sandbox, whichever version of the protocol it came by. */
export interface Wish extends NewOwnSandbox {
  /** Whether its agent asks for an access token. */
  readonly secure: boolean;
  /** Whether `allow_internet_access: true` is what this client says when its user said nothing. */
  readonly asksByHabit: boolean;
}

/** The metadata key by which a client that knows no drivers chooses one. */
export const driverKey = "cofferdam.driver";
const ownPrefix = "cofferdam.";

/** Refuses what no driver here does yet. Throws `invalid` and `unsupported`, with the field. */
export function requirePossible(wish: Wish, driver: Driver): void {
  requireNoExtras(wish);
  requirePause(wish, driver);
  if (wish.allow_internet_access === true && !wish.asksByHabit)
    throw unsupported(
      "allow_internet_access",
      `nothing can leave a sandbox of the driver ${driver.name}`,
    );
}

function requireNoExtras({ mcp, iam, volumeMounts }: Wish): void {
  if (Object.keys(mcp ?? {}).length > 0)
    throw unsupported("mcp", "this server has no MCP gateway for sandboxes");
  if (Object.keys(iam?.tokens ?? {}).length > 0)
    throw unsupported("iam", "this server gives sandboxes no identities");
  if ((volumeMounts ?? []).length > 0)
    throw unsupported("volumeMounts", "this server has no volumes");
}

function requirePause({ autoPause, autoPauseMemory, autoResume }: Wish, driver: Driver): void {
  const resumes = autoResume?.enabled === true;
  if (autoPauseMemory === false && autoPause !== true)
    throw invalid(
      "autoPauseMemory",
      "false needs autoPause",
      "say autoPause: true, or leave it out",
    );
  if (resumes && autoPause !== true)
    throw invalid("autoResume", "needs autoPause", "say autoPause: true, or leave it out");
  if (resumes && autoPauseMemory === false)
    throw invalid(
      "autoResume",
      "traffic cannot resume what kept no memory",
      "leave out autoPauseMemory, or autoResume",
    );
  if (autoPause === true && !driver.capabilities.has("pause"))
    throw unsupported("autoPause", `the driver ${driver.name} cannot pause a sandbox`);
}

/** Metadata as it may be kept. Throws `invalid` for names that are this server's own. */
export function metadataOf({ metadata }: Wish): Readonly<Record<string, string>> {
  const own = Object.keys(metadata ?? {}).find(
    (name) => name.startsWith(ownPrefix) && name !== driverKey,
  );
  if (own !== undefined)
    throw invalid(
      `metadata.${own}`,
      `names that begin with ${ownPrefix} are the server's`,
      "take another name",
    );
  return metadata ?? {};
}

/** A lifetime in milliseconds. Throws `invalid` beyond what the tenant may ask for. */
export function lifetimeOf(seconds: number, { maxLifetimeMs }: TenantLimits): number {
  const lifetimeMs = seconds * 1000;
  if (lifetimeMs <= maxLifetimeMs) return lifetimeMs;
  throw invalid(
    "timeout",
    `is at most ${Math.floor(maxLifetimeMs / 1000)} seconds`,
    "ask for less, and extend it later",
  );
}

export interface SpecFacts {
  readonly lifetimeMs: number;
  /** By which the driver knows it. */
  readonly template: string;
  /** Limits where nobody says. */
  readonly resources: Partial<Resources>;
  /** Limits whatever anybody says. */
  readonly fixed: Partial<Resources>;
}

/** What the driver is asked for. Throws `invalid` with the field as the wire names it. */
export function specOf(
  wish: Wish,
  { template, lifetimeMs, resources, fixed }: SpecFacts,
): Omit<SandboxSpec, "id" | "accessToken"> {
  const options: SandboxOptions = {
    template,
    lifetimeMs,
    detached: true,
    envs: wish.envVars ?? {},
    metadata: { ...metadataOf(wish), [serverMark]: "1", ...leaseOf(wish) },
    ...(wish.resources == null ? {} : { resources: { ...wish.resources, ...fixed } }),
  };
  try {
    const spec = parseSandboxOptions(options, resources);
    const { autoPause, autoPauseMemory } = wish;
    const kept = autoPauseMemory === false ? "files" : "memory";
    const atLifetimeEnd = autoPause === true ? kept : "end";
    const lease = { ...spec.lease, idleTimeoutMs: 0, atLifetimeEnd } as const;
    return { ...spec, lease };
  } catch (cause) {
    throw inWireWords(cause);
  }
}

/** Throws `unsupported`, with the field as the wire names it, for what nothing enforces on the driver. */
export function requireEnforced(spec: SandboxSpec, driver: Driver): void {
  try {
    driver.enforcement(spec);
  } catch (cause) {
    throw inWireWords(cause);
  }
}

function leaseOf({ leaseMs }: Wish): Readonly<Record<string, string>> {
  return leaseMs == null ? {} : { [leaseMark]: String(leaseMs) };
}

const wireWords: readonly (readonly [RegExp, string])[] = [
  [/^envs\b/, "envVars"],
  [/^lifetimeMs\b/, "timeout"],
  [/^template\b/, "templateID"],
  [/^(lease\.)?atLifetimeEnd\b/, "autoPause"],
];

function inWireWords(cause: unknown): unknown {
  if (!(cause instanceof SandboxError) || cause.field === undefined) return cause;
  const { field, code, message, mend } = cause;
  const word = wireWords.find(([own]) => own.test(field));
  if (word === undefined) return cause;
  const wireMend = word[1] === "autoPause" ? pauseMend : mend;
  return new SandboxError(code, message.replace(word[0], word[1]), {
    field: field.replace(word[0], word[1]),
    cause,
    ...(wireMend === undefined ? {} : { mend: wireMend }),
  });
}
