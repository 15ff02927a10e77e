import type { Reach } from "../../core/driver.ts";
import type { SandboxToken, SignedUrl } from "./signed-url.ts";
import type { Traffic } from "./traffic.ts";

/** What a request wants of a sandbox; enough to judge it before a paused sandbox is woken for it. */
export interface Visit {
  readonly port: number;
  /** What `e2b-traffic-access-token` says. */
  readonly trafficToken: string | undefined;
  /** What `x-access-token` says. */
  readonly accessToken: string | undefined;
  /** The signed file address that it asks for, if it does. */
  readonly signed: SignedUrl | undefined;
}

/** A running sandbox, as the proxy sees it. */
export interface Target {
  readonly id: string;
  /** Whose it is. */
  readonly tenantId?: string | undefined;
  readonly reach: Reach;
  /** What signed file addresses are made with; the agent itself checks it on its port. */
  readonly accessToken?: string | undefined;
  /** Asked for on every port but the agent's where public traffic is off. */
  readonly trafficToken?: string | undefined;
  readonly allowPublicTraffic: boolean;
  /** `Host` for programs of the guest; `${PORT}` stands for the port. */
  readonly maskRequestHost?: string | undefined;
  /** A use begins; what it returns ends it. */
  readonly touch: () => () => void;
  /** Aborted when the sandbox is gone. The same signal for as long as it runs. */
  readonly onEnd: AbortSignal;
}

/**
 * The running sandbox of an id; `undefined` where there is none. It wakes a paused one that asked for it, after
 * `admits` has said that the visit may.
 */
export type Find = (sandboxId: string, visit: Visit) => Promise<Target | undefined>;

export interface DataPlaneOptions {
  /** The domain below which sandboxes have host names; may carry a port. */
  readonly domain: string;
  readonly find: Find;
  /** Access tokens of live sandboxes, for signed addresses that name none. */
  readonly tokens: () => Iterable<SandboxToken>;
  /** Ends an exchange or a tunnel on which nothing moved for so long. Milliseconds; default 620,000. */
  readonly idleTimeoutMs?: number;
  /** How long a connection to a sandbox may take to be made. Milliseconds; default 12,000. */
  readonly connectTimeoutMs?: number;
  /** Requests and tunnels of one sandbox at the same time; default 1024. */
  readonly maxPerSandbox?: number;
  /** The same of all sandboxes; default 8192. */
  readonly maxTotal?: number;
  /** Whether a proxy stands before this server whose `X-Forwarded-*` are true; default no: they are replaced. */
  readonly behindProxy?: boolean;
  /** Told of every request to a sandbox; default nobody. */
  readonly traffic?: Traffic;
}

/** The agent's port, and the one that its code interpreter is known by. */
export const agentPort = 49_983;
const codePort = 49_999;

export function isAgentPort(port: number): boolean {
  return port === agentPort || port === codePort;
}
