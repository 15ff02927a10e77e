import { type ClientRequest, Agent as HttpAgent, request as httpRequest } from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { dialAgent, dialPort } from "./dial.ts";
import { type Target, isAgentPort } from "./target.ts";

/** A request on its way to a sandbox. */
export interface Sending {
  readonly method: string;
  readonly path: string;
  readonly headers: string[];
  /** `false`: on a connection of its own, as a tunnel needs. */
  readonly pooled: boolean;
}

/** The ways to one port of a sandbox. */
export interface Way {
  /** Headers that the way sets itself. */
  readonly headers: Readonly<Record<string, string>>;
  readonly host: string | undefined;
  send(sending: Sending): ClientRequest;
  /** Joins the port itself; `undefined` where requests alone reach it. */
  readonly join: (() => Joining) | undefined;
}

/** A connection to a port, good once `joined` has resolved. */
export interface Joining {
  readonly socket: Socket;
  readonly joined: Promise<void>;
}

/** Connections to one sandbox that wait for their next request. */
export interface Pool {
  way(port: number): Way;
  close(): void;
}

const pooling = {
  keepAlive: true,
  scheduling: "lifo",
  maxFreeSockets: 8,
  timeout: 60_000,
} as const;
const maxAnswerHeadBytes = 65_536;

/** A pool whose connections begin with the line that asks for a tenant's rights. */
class TenantAgent extends HttpAgent {
  readonly #path: string;
  readonly #timeoutMs: number;

  constructor(path: string, timeoutMs: number) {
    super(pooling);
    this.#path = path;
    this.#timeoutMs = timeoutMs;
  }

  override createConnection(): Duplex {
    return dialAgent(this.#path, this.#timeoutMs);
  }
}

export function openPool({ reach }: Target, connectTimeoutMs: number): Pool {
  return reach.kind === "socket"
    ? socketPool(reach.path, connectTimeoutMs)
    : httpPool(reach.url, reach.headers);
}

function socketPool(path: string, timeoutMs: number): Pool {
  const agent = new TenantAgent(path, timeoutMs);
  const shared = { maxHeaderSize: maxAnswerHeadBytes, setHost: false } as const;
  const toAgent = ({ pooled, ...sending }: Sending): ClientRequest =>
    pooled
      ? httpRequest({ ...shared, ...sending, agent })
      : httpRequest({
          ...shared,
          ...sending,
          createConnection: () => dialAgent(path, timeoutMs),
        });
  const toPort = (port: number, { method, path: target, headers }: Sending): ClientRequest =>
    httpRequest({
      ...shared,
      method,
      path: target,
      headers,
      createConnection: (_, ready) => {
        const { socket, joined } = dialPort(path, port, timeoutMs);
        joined.then(
          () => ready(null, socket),
          (cause: unknown) =>
            ready(cause instanceof Error ? cause : new Error("no connection"), socket),
        );
        return undefined;
      },
    });
  return {
    way: (port) => ({
      headers: {},
      host: undefined,
      send: (sending) => (isAgentPort(port) ? toAgent(sending) : toPort(port, sending)),
      join: isAgentPort(port) ? undefined : () => dialPort(path, port, timeoutMs),
    }),
    close: () => agent.destroy(),
  };
}

function httpPool(url: (port: number) => string, headers: Readonly<Record<string, string>>): Pool {
  const plain = new HttpAgent(pooling);
  const secure = new HttpsAgent(pooling);
  return {
    way(port) {
      const base = new URL(url(port));
      const isSecure = base.protocol === "https:";
      const prefix = base.pathname.replace(/\/+$/, "");
      return {
        headers,
        host: base.host,
        join: undefined,
        send: ({ method, path, headers: sent, pooled }) =>
          (isSecure ? httpsRequest : httpRequest)({
            protocol: base.protocol,
            hostname: base.hostname.replace(/^\[(.*)\]$/, "$1"),
            port: base.port === "" ? undefined : Number(base.port),
            method,
            path: `${prefix}${path}`,
            headers: sent,
            maxHeaderSize: maxAnswerHeadBytes,
            agent: pooled ? (isSecure ? secure : plain) : false,
          }),
      };
    },
    close() {
      plain.destroy();
      secure.destroy();
    },
  };
}
