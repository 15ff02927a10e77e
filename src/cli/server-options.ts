import { statSync } from "node:fs";
import { isIP } from "node:net";
import { SandboxError } from "../core/errors.ts";
import { invalid } from "../core/validate.ts";
import { smallFile } from "./small-file.ts";

/** Options that name a server, as commander gathers them. */
export interface ServerFlags {
  readonly server?: string;
  readonly apiKey?: string;
  readonly apiKeyFile?: string;
  readonly ca?: string;
  readonly plainHttp?: true;
}

/** How a server is reached. */
export interface ServerAddress {
  /** Scheme, host and port, without a path. */
  readonly url: string;
  readonly apiKey: string;
  /** Certificates in PEM that are trusted instead of the system's. */
  readonly ca: string | undefined;
}

type Environment = Readonly<Record<string, string | undefined>>;

const maxKeyFileBytes = 4096;
const maxCertificateBytes = 1_048_576;

/** Each option, and the variable that stands for it. The option counts. */
export const serverVariables = {
  server: "COFFERDAM_SERVER",
  apiKey: "COFFERDAM_API_KEY",
  apiKeyFile: "COFFERDAM_API_KEY_FILE",
  ca: "COFFERDAM_CA",
} as const;

/**
 * The server that options or environment name; `undefined`: none, so this host itself.
 *
 * Throws `invalid`, `unauthenticated` without a key, `denied` for a key that others could read: in a file, or on its way.
 */
export function serverAddress(
  flags: ServerFlags,
  environment: Environment = process.env,
): ServerAddress | undefined {
  const given = (name: keyof typeof serverVariables): string | undefined =>
    flags[name] ?? (environment[serverVariables[name]] || undefined);
  const server = given("server");
  if (server === undefined) {
    refuseWithoutServer(flags);
    return undefined;
  }
  const url = urlOf(server, flags.plainHttp === true);
  const ca = given("ca");
  return { url, apiKey: keyOf(flags, given), ca: ca === undefined ? undefined : certificate(ca) };
}

function refuseWithoutServer(flags: ServerFlags): void {
  for (const name of ["apiKey", "apiKeyFile", "ca", "plainHttp"] as const)
    if (flags[name] !== undefined)
      throw invalid(name, "is for a server, and none is named", "add --server URL");
}

function urlOf(server: string, mayBePlain: boolean): string {
  const url = URL.canParse(server) ? new URL(server) : undefined;
  if (url === undefined || (url.protocol !== "http:" && url.protocol !== "https:"))
    throw wrongServer(server, "is not the address of a server");
  if (url.href !== `${url.origin}/`)
    throw wrongServer(url.host, "must have nothing but a scheme, a host and a port");
  if (url.protocol === "http:" && !mayBePlain && !isLoopback(url.hostname))
    throw new SandboxError(
      "denied",
      `server: ${url.host} is beyond this host, and http would let others read the key`,
      { field: "server", mend: "use https, or --plain-http where the network is yours alone" },
    );
  return url.origin;
}

function wrongServer(shown: string, what: string): SandboxError {
  return invalid(
    "server",
    `${JSON.stringify(shown.slice(0, 100))} ${what}`,
    "write it as http://127.0.0.1:3999 or https://sandboxes.example.org",
  );
}

function isLoopback(hostname: string): boolean {
  return (
    hostname === "localhost" ||
    hostname === "[::1]" ||
    (isIP(hostname) === 4 && hostname.startsWith("127."))
  );
}

/** A key given itself counts before one in a file, and an option before a variable. */
function keyOf(
  flags: ServerFlags,
  given: (name: "apiKey" | "apiKeyFile") => string | undefined,
): string {
  const file =
    flags.apiKeyFile ?? (given("apiKey") === undefined ? given("apiKeyFile") : undefined);
  if (flags.apiKey !== undefined && flags.apiKeyFile !== undefined)
    throw invalid("apiKeyFile", "--api-key is given too", "leave one of them out");
  const key = file === undefined ? given("apiKey") : keyIn(file);
  if (key === undefined)
    throw new SandboxError("unauthenticated", "apiKey: the server needs a key, and none is given", {
      field: "apiKey",
      mend: `name a file with --api-key-file, or set ${serverVariables.apiKey}`,
    });
  if (/^[\x21-\x7e]{8,512}$/.test(key)) return key;
  throw invalid("apiKey", "a key is 8 to 512 printable letters without spaces");
}

/** Throws `denied` for a file that other users could read. */
function keyIn(file: string): string {
  const text = smallFile("apiKeyFile", file, maxKeyFileBytes).trim();
  if ((statSync(file).mode & 0o077) === 0) return text;
  throw new SandboxError("denied", `apiKeyFile: other users of this host may use ${file}`, {
    field: "apiKeyFile",
    mend: `chmod 600 ${file}`,
  });
}

function certificate(file: string): string {
  const text = smallFile("ca", file, maxCertificateBytes);
  if (text.includes("-----BEGIN CERTIFICATE-----")) return text;
  throw invalid("ca", `${file} holds no certificate`, "give a file in PEM");
}
