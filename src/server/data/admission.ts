import { createHash, timingSafeEqual } from "node:crypto";
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
  visit: Visit,
): boolean {
  if (visit.port === agentPort || target.allowPublicTraffic) return true;
  const { trafficToken } = target;
  if (trafficToken === undefined || visit.trafficToken === undefined) return false;
  return timingSafeEqual(digest(trafficToken), digest(visit.trafficToken));
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
