import { once } from "node:events";
import {
  type IncomingMessage,
  type RequestListener,
  type Server,
  createServer,
  request,
} from "node:http";
import { portOf, sandboxId, answerOf } from "./data-rig.ts";

export interface Program extends AsyncDisposable {
  readonly port: number;
  readonly server: Server;
}

/** A program of the guest that listens on a port of its loopback. */
export async function program(listener: RequestListener): Promise<Program> {
  const own = createServer(listener);
  own.listen(0, "127.0.0.1");
  await once(own, "listening");
  return {
    server: own,
    port: portOf(own),
    async [Symbol.asyncDispose]() {
      own.closeAllConnections();
      own.close();
      await once(own, "close");
    },
  };
}

export const hostOf = (port: number): string => `${port}-${sandboxId}.sbx.localhost:3999`;

export async function ask(
  server: { readonly port: number },
  port: number,
  options: { method?: string; path?: string; headers?: Record<string, string>; body?: string } = {},
): Promise<IncomingMessage> {
  const sent = request({
    host: "127.0.0.1",
    port: server.port,
    method: options.method ?? "GET",
    path: options.path ?? "/",
    headers: { host: hostOf(port), ...options.headers },
  });
  sent.end(options.body);
  const answer = await answerOf(sent);
  return answer;
}
