import { createHash, timingSafeEqual } from "node:crypto";
import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import { portProtocol } from "../../wire/port-tunnel.ts";
import type { Joining } from "./connections.ts";
import { valuesOf } from "./route.ts";
import type { Target } from "./target.ts";

/** Whether a client asks for a port's bytes as they are. */
export function asksForPort({ rawHeaders }: IncomingMessage): boolean {
  const wanted = valuesOf(rawHeaders, "upgrade");
  return wanted.length === 1 && wanted[0]?.toLowerCase() === portProtocol;
}

/** Whether a client may have them: of a secured sandbox, who knows its token. */
export function mayJoinPort({ accessToken }: Target, { rawHeaders }: IncomingMessage): boolean {
  if (accessToken === undefined || accessToken === "") return true;
  const [given = ""] = valuesOf(rawHeaders, "x-access-token");
  return timingSafeEqual(digest(accessToken), digest(given));
}

function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}

/** The head by which a port is given. */
export const portAgreement: string = [
  "HTTP/1.1 101 Switching Protocols",
  "Connection: Upgrade",
  `Upgrade: ${portProtocol}`,
  "",
  "",
].join("\r\n");

interface PortVisit {
  readonly request: IncomingMessage;
  readonly joining: Joining;
  /** The port is there, and the client still is. */
  readonly agreed: (guest: Socket) => void;
  readonly fail: (cause: unknown) => void;
}

/** Joins a client to a port; returns how to stop it. */
export function joinPort({ request, joining, agreed, fail }: PortVisit): () => void {
  const { socket: guest, joined } = joining;
  const client = request.socket;
  client.once("close", () => guest.destroy());
  joined.then(() => (client.destroyed ? void guest.destroy() : agreed(guest)), fail);
  return () => void guest.destroy();
}
