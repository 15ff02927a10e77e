import type { Server, ServerOptions } from "node:http";

/** How a server of node:http must be made for the data plane: what is slow, vast or ambiguous is refused. */
export const dataServerOptions: ServerOptions = {
  insecureHTTPParser: false,
  requireHostHeader: true,
  maxHeaderSize: 32_768,
  headersTimeout: 30_000,
  requestTimeout: 0,
  keepAliveTimeout: 65_000,
  connectionsCheckingInterval: 5000,
  noDelay: true,
  highWaterMark: 262_144,
};

/** Limits that a server takes only once it exists. Uploads may last; a head, or an idle connection, may not. */
export function harden(server: Server, maxConnections: number): void {
  server.maxConnections = maxConnections;
  server.maxHeadersCount = 256;
  server.maxRequestsPerSocket = 0;
}
