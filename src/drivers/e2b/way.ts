import { connect as connectPlain, isIP } from "node:net";
import { type ConnectionOptions, connect as connectSecure } from "node:tls";
import type { Way } from "../../guest/access.ts";
import type { Address } from "./address.ts";

/** Shorter than proxies keep a connection that nobody uses. Milliseconds. */
const restMs = 20_000;

/** A way to an agent through a service's proxy. */
export function wayTo({ url, headers, ca }: Address): Way {
  const isSecure = url.protocol === "https:";
  const host = url.hostname.replace(/^\[(.*)\]$/, "$1");
  const port = url.port === "" ? (isSecure ? 443 : 80) : Number(url.port);
  return {
    connect(onread) {
      const reading = onread === undefined ? {} : { onread };
      if (!isSecure) return connectPlain({ host, port, noDelay: true, ...reading });
      const options: ConnectionOptions = {
        host,
        port,
        ALPNProtocols: ["http/1.1"],
        ...(ca === undefined ? {} : { ca }),
        ...(isIP(host) === 0 ? { servername: host } : {}),
        ...reading,
      };
      return connectSecure(options);
    },
    headers: { host: url.host, ...headers },
    prefix: url.pathname.replace(/\/+$/, ""),
    restMs,
  };
}
