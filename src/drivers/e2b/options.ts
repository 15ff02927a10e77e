import { SandboxError } from "../../core/errors.ts";
import { invalid, numberIn, optionalText, optionsObject } from "../../core/validate.ts";

/** Options of the `e2b` driver. All but the key have defaults, which are E2B's own service. */
export interface E2bOptions {
  /** What the service knows its tenant by. */
  readonly apiKey?: string | undefined;
  /** Where sandboxes are made and ended. Default `https://api.<domain>`. */
  readonly apiUrl?: string | undefined;
  /** Where every sandbox is reached, told apart by headers. Default: each at a host name of its own. */
  readonly sandboxUrl?: string | undefined;
  /** Below which sandboxes have host names; may carry a port. Default `e2b.app`. */
  readonly domain?: string | undefined;
  /** How long an answer of the service may take. Milliseconds, 1,000 to 600,000; default 60,000. */
  readonly requestTimeoutMs?: number | undefined;
  /** How long a sandbox that is not detached outlives a client that crashed. Milliseconds, 15,000 to 600,000; default 60,000. */
  readonly leaseMs?: number | undefined;
  /** The driver behind a Cofferdam: `gvisor`, `runc`. Default: that server's own. */
  readonly behind?: string | undefined;
  /** Certificates in PEM that are trusted for the service, instead of the system's. */
  readonly ca?: string | undefined;
}

/** Options that were read and checked. */
export interface Settings {
  readonly apiKey: string | undefined;
  readonly apiUrl: URL;
  readonly sandboxUrl: URL | undefined;
  readonly domain: string;
  /** Whether somebody named the place of the sandboxes. */
  readonly isPlaced: boolean;
  readonly requestTimeoutMs: number;
  readonly leaseMs: number;
  readonly behind: string | undefined;
  readonly ca: string | undefined;
}

type Environment = Readonly<Record<string, string | undefined>>;

const e2bDomain = "e2b.app";
const optionNames = [
  "apiKey",
  "apiUrl",
  "sandboxUrl",
  "domain",
  "requestTimeoutMs",
  "leaseMs",
  "behind",
  "ca",
] as const;

/** What E2B's own variables say. Throws `unsupported` for E2B_DEBUG, with which its clients make no sandbox. */
export function e2bOptionsFrom(environment: Environment): E2bOptions {
  if (environment["E2B_DEBUG"]?.toLowerCase() === "true")
    throw new SandboxError("unsupported", "E2B_DEBUG: there is no sandbox to debug", {
      field: "E2B_DEBUG",
      mend: "unset it, and name the service with E2B_API_URL and E2B_SANDBOX_URL",
    });
  return {
    apiKey: environment["E2B_API_KEY"] || undefined,
    apiUrl: environment["E2B_API_URL"] || undefined,
    sandboxUrl: environment["E2B_SANDBOX_URL"] || undefined,
    domain: environment["E2B_DOMAIN"] || undefined,
  };
}

/** Throws `invalid`, with the field. */
export function settingsOf(options: E2bOptions): Settings {
  optionsObject(options, optionNames, { hints: { baseUrl: "use apiUrl", debug: "use apiUrl" } });
  const domain = domainOf(optionalText("domain", options.domain) ?? e2bDomain);
  const apiUrl = urlOf("apiUrl", options.apiUrl) ?? new URL(`https://api.${domain}`);
  const sandboxUrl = urlOf("sandboxUrl", options.sandboxUrl);
  return {
    apiKey: keyOf(options.apiKey),
    apiUrl,
    sandboxUrl,
    domain,
    isPlaced: sandboxUrl !== undefined || options.domain !== undefined,
    requestTimeoutMs: milliseconds("requestTimeoutMs", options.requestTimeoutMs, 1000) ?? 60_000,
    leaseMs: milliseconds("leaseMs", options.leaseMs, 15_000) ?? 60_000,
    behind: optionalText("behind", options.behind),
    ca: optionalText("ca", options.ca),
  };
}

function milliseconds(field: string, value: unknown, min: number): number | undefined {
  return numberIn(field, value, { min, max: 600_000, unit: "milliseconds" });
}

function keyOf(value: unknown): string | undefined {
  const key = optionalText("apiKey", value);
  if (key === undefined || /^[\u0021-\u007e]{1,512}$/.test(key)) return key;
  throw invalid("apiKey", "holds what cannot stand in a header");
}

function domainOf(domain: string): string {
  if (/^[a-z0-9.-]{1,253}(:\d{1,5})?$/i.test(domain)) return domain;
  throw invalid("domain", "expected a host name, with a port where it needs one");
}

function urlOf(field: string, value: unknown): URL | undefined {
  const text = optionalText(field, value);
  if (text === undefined) return undefined;
  if (!URL.canParse(text) || !/^https?:$/.test(new URL(text).protocol))
    throw invalid(field, "expected an address that begins with http:// or https://");
  const url = new URL(text);
  if (url.username !== "" || url.search !== "" || url.hash !== "")
    throw invalid(field, "must not hold a user, a query or a fragment");
  return url;
}
