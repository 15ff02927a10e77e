import { join } from "node:path";
import { SandboxError } from "../../core/errors.ts";
import type { Log } from "../../server/log.ts";
import type { CredentialFiles } from "../../server/tls/credentials.ts";
import { serverDirectory } from "../server-store.ts";
import { type DevCertificates, devCertificates } from "./dev-certificates.ts";
import type { DoorFlags } from "./open-door.ts";

/** How a server speaks TLS, and under which names. */
export interface Encryption {
  /** `undefined`: not at all. */
  readonly credentials: CredentialFiles | undefined;
  /** A certificate that clients must be told to trust. */
  readonly authority: string | undefined;
  readonly domain: (port: number) => string;
  /** Signs anew, from time to time, what this program has signed itself; the returned function ends it. */
  keepFresh(log: Log): () => void;
}

/** Two labels: clients take no `*.localhost`, which would be for a whole top-level domain. */
const devDomain = "cofferdam.localhost";
const httpsPort = 443;
const lookEveryMs = 12 * 3_600_000;

/** Makes what `--dev-tls` asks for, below the state directory. */
export async function encryptionOf(
  flags: DoorFlags & { readonly domain?: string },
  stateDir: string,
): Promise<Encryption> {
  const { tlsCert, tlsKey, devTls, domain } = flags;
  if (devTls === true) {
    const name = domain ?? devDomain;
    const directory = join(serverDirectory(stateDir), "dev-tls");
    return ofDevelopment(await devCertificates(directory, name.replace(/:\d+$/, "")), name);
  }
  const credentials =
    tlsCert === undefined || tlsKey === undefined
      ? undefined
      : { certificate: tlsCert, key: tlsKey };
  return {
    credentials,
    authority: undefined,
    domain: (port) => domain ?? `localhost:${port}`,
    keepFresh: () => () => undefined,
  };
}

function ofDevelopment({ authority, files, renew }: DevCertificates, name: string): Encryption {
  return {
    credentials: files,
    authority,
    domain: (port) => (port === httpsPort || /:\d+$/.test(name) ? name : `${name}:${port}`),
    keepFresh(log) {
      const look = async (): Promise<void> => {
        try {
          if (await renew()) log("info", "the development certificate is signed anew");
        } catch (cause) {
          log("error", "the development certificate could not be signed anew", {
            error: SandboxError.from(cause).message,
          });
        }
      };
      const clock = setInterval(() => void look(), lookEveryMs).unref();
      return () => clearInterval(clock);
    },
  };
}

/** How clients come to trust a development certificate and to find its names. */
export function trustText(authority: string, domain: string): string {
  const name = domain.replace(/:\d+$/, "");
  const resolves = name.endsWith(".localhost")
    ? `Names below ${name} lead to this host where systemd-resolved or nss-myhostname answers for *.localhost; elsewhere a DNS server must.`
    : `A DNS server must answer for ${name} and *.${name} with this host's address: a hosts file knows no wildcards.`;
  return `Clients that know E2B need, besides E2B_API_KEY:
  export E2B_DOMAIN=${domain}
  export NODE_EXTRA_CA_CERTS=${authority}   # Node.js
  export SSL_CERT_FILE=${authority}   # Python (httpx, urllib), curl
  export REQUESTS_CA_BUNDLE=${authority}   # Python (requests)
${resolves}
Without names: export E2B_API_URL=https://localhost:${portOf(domain)} E2B_SANDBOX_URL=https://localhost:${portOf(domain)}
`;
}

function portOf(domain: string): string {
  return /:(\d+)$/.exec(domain)?.[1] ?? String(httpsPort);
}
