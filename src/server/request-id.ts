import { randomBytes } from "node:crypto";
import type { IncomingMessage } from "node:http";

export const requestIdHeader = "x-request-id";

/** Short words alone: they stand in logs, and in answers. */
const mayStand = /^[\w.-]{1,64}$/;
/** Somebody's key or token, sent in the wrong place. */
const looksSecret = /e2b_|operator|[0-9a-f]{40}/i;

/** What the client calls the request, where that may stand in a log; else a new name. */
export function requestIdOf({ headers }: Pick<IncomingMessage, "headers">): string {
  const given = headers[requestIdHeader];
  if (typeof given === "string" && mayStand.test(given) && !looksSecret.test(given)) return given;
  return randomBytes(8).toString("hex");
}
