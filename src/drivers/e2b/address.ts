import type { Settings } from "./options.ts";

/** Where a port of a sandbox is reached, and with what. */
export interface Address {
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  /** Certificates to trust there; `undefined`: the system's. */
  readonly ca: string | undefined;
}

/** What the addresses of a sandbox depend on. */
export interface Placed {
  readonly id: string;
  readonly domain: string | undefined;
  readonly accessToken: string | undefined;
  readonly trafficToken: string | undefined;
}

/** The agent's port, and the one that its code interpreter is known by. */
export const agentPort = 49_983;
export const codePort = 49_999;

/** E2B's own domains, whose sandboxes share a host name for the agent. */
const shared = new Set(["e2b.app", "e2b.dev", "e2b.pro", "e2b-staging.dev"]);

/** How addresses of one service are made. */
export interface AddressBook {
  addressOf(sandbox: Placed, port: number): Address;
}

/** `scheme` is the one of host names that the service gives: `https:` but for a server of ours without it. */
export function addressBook(settings: Settings, scheme: "http:" | "https:"): AddressBook {
  return {
    addressOf(sandbox, port) {
      const { id, accessToken, trafficToken } = sandbox;
      const isAgents = port === agentPort || port === codePort;
      return {
        ca: settings.ca,
        url: urlOf(settings, scheme, { sandbox, port, isAgents }),
        headers: {
          "e2b-sandbox-id": id,
          "e2b-sandbox-port": String(port),
          ...(isAgents && accessToken !== undefined ? { "x-access-token": accessToken } : {}),
          ...(trafficToken === undefined ? {} : { "e2b-traffic-access-token": trafficToken }),
        },
      };
    },
  };
}

interface Wanted {
  readonly sandbox: Placed;
  readonly port: number;
  readonly isAgents: boolean;
}

function urlOf(settings: Settings, scheme: string, { sandbox, port, isAgents }: Wanted): URL {
  if (settings.sandboxUrl !== undefined) return settings.sandboxUrl;
  const domain = sandbox.domain ?? settings.domain;
  const name = isAgents && shared.has(domain) ? "sandbox" : `${port}-${sandbox.id}`;
  return new URL(`${scheme}//${name}.${domain}`);
}
