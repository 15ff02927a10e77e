import { z } from "zod";
import { SandboxError } from "../core/errors.ts";
import { readableBytes, readableMs, table } from "./table.ts";

interface Driver {
  readonly name: string;
  readonly isolation: string;
  readonly isDefault: boolean;
  readonly capabilities: readonly string[];
}
type Counts = Readonly<Record<string, number>>;

/** What a tenant is told. */
export interface OwnStatus {
  readonly version: string;
  readonly isReady: boolean;
  readonly tenant: string;
  readonly drivers: readonly Driver[];
  readonly sandboxes: Counts;
  readonly limits: Counts;
}

const driver: z.ZodType<Driver> = z.object({
  name: z.string(),
  isolation: z.string(),
  isDefault: z.boolean(),
  capabilities: z.array(z.string()),
});
const counts: z.ZodType<Counts> = z.record(z.string(), z.number());
const own: z.ZodType<OwnStatus> = z.object({
  version: z.string(),
  isReady: z.boolean(),
  tenant: z.string(),
  drivers: z.array(driver),
  sandboxes: counts,
  limits: counts,
});

/** What the server's keeper is told. */
export interface WholeStatus extends Omit<OwnStatus, "tenant"> {
  readonly url: string;
  readonly domain: string;
  readonly stateDir: string;
  readonly pid: number;
  readonly startedAt: string;
  readonly uptimeSeconds: number;
  readonly memoryBytes: number;
  readonly store: { readonly kind: string; readonly works: boolean; readonly latencyMs: number };
  /** `null`: nothing is encrypted. */
  readonly certificate: {
    readonly names: readonly string[];
    readonly issuer: string;
    readonly expiresAt: string;
    readonly fingerprint: string;
  } | null;
  /** What an earlier server had left. */
  readonly found: Counts;
}

const whole: z.ZodType<WholeStatus> = z.object({
  version: z.string(),
  url: z.string(),
  domain: z.string(),
  stateDir: z.string(),
  pid: z.number(),
  startedAt: z.string(),
  uptimeSeconds: z.number(),
  memoryBytes: z.number(),
  isReady: z.boolean(),
  drivers: z.array(driver),
  sandboxes: counts,
  store: z.object({ kind: z.string(), works: z.boolean(), latencyMs: z.number() }),
  certificate: z
    .object({
      names: z.array(z.string()),
      issuer: z.string(),
      expiresAt: z.string(),
      fingerprint: z.string(),
    })
    .nullable(),
  limits: counts,
  found: counts,
});

export function ownStatus(body: unknown): OwnStatus {
  return as(own, body);
}

export function wholeStatus(body: unknown): WholeStatus {
  return as(whole, body);
}

function as<T>(schema: z.ZodType<T>, body: unknown): T {
  const { data, error } = schema.safeParse(body);
  if (data !== undefined) return data;
  throw new SandboxError("untrusted", "the server does not say what its status is", {
    field: "server",
    mend: "is it a Cofferdam of this version?",
    cause: error,
  });
}

export function ownText(url: string, status: OwnStatus): string {
  const { version, isReady, tenant, drivers, sandboxes, limits } = status;
  return rows([
    ["server", `${url}, version ${version}${ready(isReady)}`],
    ["tenant", tenant],
    ...driverRows(drivers),
    ["sandboxes", countsText(sandboxes)],
    ["limits", countsText(limits)],
  ]);
}

export function wholeText(status: WholeStatus, now: number = Date.now()): string {
  const { version, url, domain, stateDir, store, certificate } = status;
  const works = store.works ? `answers in ${readableMs(store.latencyMs)}` : "does not answer";
  return rows([
    ["server", `${url}, version ${version}${ready(status.isReady)}`],
    ["domain", domain],
    ["runs", `for ${readableMs(status.uptimeSeconds * 1000)} as process ${status.pid}`],
    ["memory", readableBytes(status.memoryBytes)],
    ["state", stateDir],
    ["store", `${store.kind}, ${works}`],
    ...driverRows(status.drivers),
    ["sandboxes", countsText(status.sandboxes)],
    ["found", countsText(status.found)],
    ["certificate", certificate === null ? "none: nothing is encrypted" : left(certificate, now)],
    ["limits", countsText(status.limits)],
  ]);
}

function ready(isReady: boolean): string {
  return isReady ? "" : ", not ready";
}

function left({ names, expiresAt }: NonNullable<WholeStatus["certificate"]>, now: number): string {
  const leftMs = Date.parse(expiresAt) - now;
  const until = leftMs > 0 ? `for ${readableMs(leftMs)} more` : "expired";
  return `${names.join(" ")}, ${until} (${expiresAt})`;
}

function driverRows(drivers: OwnStatus["drivers"]): readonly (readonly [string, string])[] {
  return drivers.map(({ name, isolation, isDefault, capabilities }) => [
    `driver ${name}`,
    `${isolation}${isDefault ? ", the default" : ""}: ${capabilities.join(" ")}`,
  ]);
}

function countsText(amounts: Readonly<Record<string, number>>): string {
  const words = Object.entries(amounts).map(([name, amount]) => `${amount} ${name}`);
  return words.length === 0 ? "none" : words.join(", ");
}

function rows(lines: readonly (readonly [string, string])[]): string {
  return table(["", ""], lines).replace(/^.*\n/, "");
}
