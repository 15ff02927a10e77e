import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { type AnswerRules, answerHeaders } from "./answer-headers.ts";

/** Joins a client to a sandbox that has agreed to another protocol: bytes as they are, both ways, half-closes too. */
export function join(client: Duplex, guest: Duplex): void {
  client.on("error", () => guest.destroy());
  guest.on("error", () => client.destroy());
  client.on("close", () => leave(client, guest));
  guest.on("close", () => leave(guest, client));
  client.pipe(guest);
  guest.pipe(client);
}

/** One side is gone: the other gets what is still on its way, if that side left in order. */
function leave(gone: Duplex, other: Duplex): void {
  if (!gone.readableEnded || other.destroyed) return void other.destroy();
  other.end(() => other.destroy());
}

/** The head by which a guest agrees, as it may leave. Throws `untrusted` for one that is not well formed. */
export function agreement(answer: IncomingMessage, rules: AnswerRules): string {
  const upgrade = answer.headers.upgrade ?? "";
  const shown = /^[\w./, -]{1,128}$/.test(upgrade) ? upgrade : "websocket";
  const lines = ["HTTP/1.1 101 Switching Protocols", "Connection: Upgrade", `Upgrade: ${shown}`];
  const headers = answerHeaders(answer.rawHeaders, rules, ["content-length"]);
  for (let index = 0; index + 1 < headers.length; index += 2)
    lines.push(`${headers[index] ?? ""}: ${headers[index + 1] ?? ""}`);
  return `${lines.join("\r\n")}\r\n\r\n`;
}
