import { type IncomingMessage, request } from "node:http";
import type { Duplex } from "node:stream";
import { SandboxError } from "../../core/errors.ts";
import type { OpenPort } from "../../guest/ports.ts";
import { refusedPort } from "../../guest/ports.ts";
import { cancelledBy } from "../../guest/transport.ts";
import { parseConnectError } from "../../wire/connect-errors.ts";
import { portProtocol } from "../../wire/port-tunnel.ts";
import type { Address } from "./address.ts";
import { wayTo } from "./way.ts";

const joinTimeoutMs = 20_000;
const portIsClosed = "port is not open";
const maxRefusalBytes = 65_536;

/** Opens ports through a server of ours, whose proxy gives a port's bytes as they are. */
export function portTunnels(
  addressOf: (port: number) => Address,
  accessToken: string | undefined,
): OpenPort {
  const token = accessToken === undefined ? {} : { "x-access-token": accessToken };
  return (port, signal) => {
    const way = wayTo(addressOf(port));
    const headers = { ...way.headers, ...token, connection: "Upgrade", upgrade: portProtocol };
    return new Promise((resolve, reject) => {
      const sent = request({
        path: `${way.prefix}/`,
        headers,
        createConnection: () => way.connect(),
      });
      const abort = (): void => void sent.destroy(cancelledBy(signal));
      const late = (): void =>
        void sent.destroy(new SandboxError("timed-out", "the service did not join the port"));
      const timer = setTimeout(late, joinTimeoutMs);
      const settle = (): void => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", abort);
      };
      signal?.addEventListener("abort", abort);
      sent.on("upgrade", (_answer, stream: Duplex, head: Buffer) => {
        settle();
        if (head.length > 0) stream.unshift(head);
        resolve(stream);
      });
      sent.on("response", (answer) => {
        settle();
        refusalOf(answer, port).then(reject, reject);
      });
      sent.on("error", (cause) => {
        settle();
        reject(cause);
      });
      sent.end();
    });
  };
}

async function refusalOf(answer: IncomingMessage, port: number): Promise<SandboxError> {
  let text = "";
  for await (const piece of answer) {
    text += String(piece);
    if (text.length > maxRefusalBytes) break;
  }
  if (text.includes(portIsClosed)) return refusedPort(port);
  const status = answer.statusCode ?? 0;
  const error = parseConnectError(jsonOrNothing(text), status);
  if (status < 400) return new SandboxError("unsupported", "the service joins no ports");
  return error;
}

function jsonOrNothing(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    if (cause instanceof SyntaxError) return undefined;
    throw cause;
  }
}
