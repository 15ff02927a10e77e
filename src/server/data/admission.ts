import { createHash, timingSafeEqual } from "node:crypto";
import { signedBy } from "./signed-url.ts";
import { type Target, type Visit, agentPort, isAgentPort } from "./target.ts";

/** Paths of the agent that its host alone may call. */
const hostOnly = new Set([
  "/init",
  "/freeze",
  "/unfreeze",
  "/collapse",
  "/fsfreeze",
  "/fsthaw",
  "/upgrade",
]);

/** Whether a visit may pass: the agent's port is guarded by the agent, every other by the traffic token. */
export function admits(
  target: Pick<Target, "allowPublicTraffic" | "trafficToken">,
  visit: Pick<Visit, "port" | "trafficToken">,
): boolean {
  if (visit.port === agentPort || target.allowPublicTraffic) return true;
  return isSame(target.trafficToken, visit.trafficToken);
}

/**
 * Whether a visit may wake a paused sandbox that is not open to everybody: on the agent's port, whose guard sleeps, by one of
 * the sandbox's tokens.
 */
export function mayWake(
  target: Pick<Target, "id" | "allowPublicTraffic" | "trafficToken" | "accessToken">,
  visit: Visit,
): boolean {
  const { id, allowPublicTraffic, trafficToken, accessToken } = target;
  if (visit.port !== agentPort || allowPublicTraffic || accessToken === undefined)
    return admits(target, visit);
  if (isSame(trafficToken, visit.trafficToken) || isSame(accessToken, visit.accessToken))
    return true;
  if (visit.signed === undefined) return false;
  return signedBy(visit.signed, [{ id, accessToken }], Date.now()).kind === "sandbox";
}

function isSame(token: string | undefined, given: string | undefined): boolean {
  if (token === undefined || given === undefined) return false;
  return timingSafeEqual(digest(token), digest(given));
}

function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}

/**
 * Whether a path of the agent is told not to exist: what is for the host alone, and the code interpreter by way of the
 * agent's port, which asks for no traffic token.
 */
export function isHidden(target: string, port: number): boolean {
  if (!isAgentPort(port)) return false;
  const path = decoded(target.split("?", 1)[0] ?? "");
  if (hostOnly.has(path)) return true;
  return (
    port === agentPort &&
    (path === "/execute" || path === "/contexts" || path.startsWith("/contexts/"))
  );
}

/** Percent signs taken away as the agent does it: once, byte by byte. */
function decoded(path: string): string {
  return path.replaceAll(/%([0-9a-f]{2})/gi, (_, hex: string) =>
    String.fromCodePoint(Number.parseInt(hex, 16)),
  );
}
