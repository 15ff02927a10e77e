import type { EgressPolicy, Lease, Resources, SandboxSpec, SeccompProfile } from "./spec.ts";
import { SandboxError } from "./errors.ts";
import {
  type Range,
  environment,
  flag,
  invalid,
  isObject,
  numberIn,
  optionsObject,
  text,
  textMap,
} from "./validate.ts";

/** Options of `Sandbox.create`. All have defaults; an unknown one is refused with `invalid` and its name. */
export interface SandboxOptions {
  /** A template's name. Default `code-interpreter`. */
  readonly template?: string;
  /** Limits; what is left out is the template's own, then `defaultResources`. */
  readonly resources?: Partial<Resources>;
  /** Ends the sandbox this long after its creation, whatever it does. Milliseconds, 1,000 to 2,592,000,000; default 300,000. */
  readonly lifetimeMs?: number;
  /** Ends it when nobody has used it for this long. Milliseconds, 0 (never) or from 1,000; default 30,000. */
  readonly idleTimeoutMs?: number;
  /** `true`: outlives this process. Default `false`: ends when this process exits or crashes. */
  readonly detached?: boolean;
  /** Environment of every process in the sandbox. */
  readonly envs?: Readonly<Record<string, string>>;
  /** Names and values of your own, shown by `list` and `getInfo`. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** `true` asks for a way out to everywhere. Default `false`: nothing leaves. `unsupported` where the driver has no egress. */
  readonly allowInternetAccess?: boolean;
  /** What may leave: host names, wildcards, CIDRs. `unsupported` where the driver has no egress. */
  readonly network?: {
    readonly allowOut?: readonly string[];
    readonly denyOut?: readonly string[];
  };
  /** A seccomp profile in the format of the OCI runtime specification, already parsed. Default: the driver's own. */
  readonly seccomp?: SeccompProfile;
  /** Undoes the creation when it aborts before the sandbox is there. */
  readonly signal?: AbortSignal;
}

/** The template that `Sandbox.create` uses: Python, JavaScript, TypeScript and Bash with kernels ready. */
export const defaultTemplate = "code-interpreter";

/** What a sandbox may use when neither its maker nor its template says. */
export const defaultResources: Resources = {
  cpus: 2,
  memoryMiB: 512,
  diskMiB: 1024,
  pids: 512,
  openFiles: 4096,
};

/** How long a sandbox lives when its maker does not say. */
export const defaultLease: Lease = { lifetimeMs: 300_000, idleTimeoutMs: 30_000, detached: false };

/** Names of the options of `SandboxOptions`, for those who add their own beside them. */
const sandboxOptionNames: readonly string[] = [
  "template",
  "resources",
  "lifetimeMs",
  "idleTimeoutMs",
  "detached",
  "envs",
  "metadata",
  "allowInternetAccess",
  "network",
  "seccomp",
  "signal",
];

const hints: Readonly<Record<string, string>> = {
  timeoutMs: "use lifetimeMs, or idleTimeoutMs to end it when nobody uses it",
  timeout: "use lifetimeMs",
  memoryMiB: "use resources.memoryMiB",
  memory: "use resources.memoryMiB",
  cpus: "use resources.cpus",
  cpu: "use resources.cpus",
  apiKey: "local drivers take no key",
  requestTimeoutMs: "pass signal: AbortSignal.timeout(…)",
  allowOut: "use network.allowOut",
  denyOut: "use network.denyOut",
  env: "use envs",
};

/** Bounds of each limit. A driver may refuse earlier, by what its host has. */
const resourceRanges: Readonly<Record<keyof Resources, Range>> = {
  cpus: { min: 0.05, max: 1024, unit: "cores", fractional: true },
  memoryMiB: { min: 32, max: 4_194_304, unit: "MiB" },
  diskMiB: { min: 16, max: 16_777_216, unit: "MiB" },
  pids: { min: 16, max: 4_194_304, unit: "processes" },
  openFiles: { min: 64, max: 1_048_576, unit: "files" },
};

const lifetimeRange: Range = {
  min: 1000,
  max: 2_592_000_000,
  unit: "milliseconds",
  fractional: true,
};
const maxMetadataCharacters = 32_768;
const templateName = /^[a-z0-9][a-z0-9._-]{0,127}$/;

/** The template that the options name, or the default one. Throws `invalid`. */
export function templateOf(options: SandboxOptions): string {
  const template = text("template", options.template ?? defaultTemplate);
  if (templateName.test(template)) return template;
  throw invalid(
    "template",
    "a name is lower-case letters, digits, dots, dashes and underscores, at most 128",
  );
}

/**
 * A complete spec from options that nobody has checked.
 *
 * `templateResources` is what the template asks for itself. `moreNames` are options that the caller treats itself.
 * Throws `invalid`, with the field, the range and the mend.
 */
export function parseSandboxOptions(
  options: unknown,
  templateResources: Partial<Resources> = {},
  moreNames: readonly string[] = [],
): SandboxSpec {
  const given: SandboxOptions = optionsObject(options, [...sandboxOptionNames, ...moreNames], {
    hints,
  });
  return {
    template: templateOf(given),
    resources: parseResources(given.resources, templateResources),
    lease: parseLease(given),
    egress: parseEgress(given),
    envs: environment("envs", given.envs),
    metadata: textMap("metadata", given.metadata, maxMetadataCharacters),
    seccomp: parseSeccomp(given.seccomp),
  };
}

function parseResources(given: unknown, fromTemplate: Partial<Resources>): Resources {
  const wanted = optionsObject(given, Object.keys(resourceRanges), {
    at: "resources",
    hints: {
      memoryMB: "use memoryMiB",
      memory: "use memoryMiB",
      disk: "use diskMiB",
      cpu: "use cpus",
    },
  });
  const limit = (name: keyof Resources): number =>
    numberIn(`resources.${name}`, wanted[name], resourceRanges[name]) ??
    fromTemplate[name] ??
    defaultResources[name];
  return {
    cpus: limit("cpus"),
    memoryMiB: limit("memoryMiB"),
    diskMiB: limit("diskMiB"),
    pids: limit("pids"),
    openFiles: limit("openFiles"),
  };
}

function parseLease(given: SandboxOptions): Lease {
  const idle =
    given.idleTimeoutMs === 0 ? 0 : numberIn("idleTimeoutMs", given.idleTimeoutMs, lifetimeRange);
  return {
    lifetimeMs: parseLifetime("lifetimeMs", given.lifetimeMs) ?? defaultLease.lifetimeMs,
    idleTimeoutMs: idle ?? defaultLease.idleTimeoutMs,
    detached: flag("detached", given.detached, defaultLease.detached),
  };
}

/** A lifetime in milliseconds; `undefined` stays so. Throws `invalid`. */
export function parseLifetime(field: string, value: unknown): number | undefined {
  return numberIn(field, value, lifetimeRange);
}

function parseEgress(given: SandboxOptions): EgressPolicy {
  const rules = optionsObject(given.network, ["allowOut", "denyOut"], { at: "network" });
  const everywhere = flag("allowInternetAccess", given.allowInternetAccess, false);
  const allowOut = destinations("network.allowOut", rules["allowOut"]);
  return {
    allowOut: everywhere ? ["0.0.0.0/0", "::/0", ...allowOut] : allowOut,
    denyOut: destinations("network.denyOut", rules["denyOut"]),
  };
}

function destinations(field: string, value: unknown): readonly string[] {
  if (value === undefined) return [];
  if (!Array.isArray(value)) throw invalid(field, "expected a list of host names or CIDRs");
  return value.map((entry: unknown, index) => text(`${field}[${index}]`, entry));
}

function parseSeccomp(value: unknown): SeccompProfile | undefined {
  if (value === undefined) return undefined;
  if (!isObject(value))
    throw invalid(
      "seccomp",
      "expected a parsed profile, an object with defaultAction and syscalls",
    );
  return value;
}

/** Refuses what leaves a sandbox on a driver that has no egress. Throws `unsupported` with the option's name. */
export function requireEgress(
  options: SandboxOptions,
  driver: { readonly name: string; readonly capabilities: ReadonlySet<string> },
): void {
  if (driver.capabilities.has("egress")) return;
  const field = options.allowInternetAccess === true ? "allowInternetAccess" : "network";
  const asked = options.allowInternetAccess === true || options.network !== undefined;
  if (!asked) return;
  throw new SandboxError(
    "unsupported",
    `${field}: the driver ${driver.name} lets nothing out of a sandbox`,
    {
      field,
      mend: "leave it out, or take a driver with the capability egress",
    },
  );
}
