import type { Arrival, Passing, Traffic } from "../data/traffic.ts";
import { agentPort, isAgentPort } from "../data/target.ts";
import type { Log } from "../log.ts";
import { secondsSince } from "./measured.ts";
import type { Meters } from "./meters.ts";
import { requestSpan } from "./spans.ts";

/** Counts, logs (on level `debug`) and traces what goes to sandboxes. */
export function trafficLog(meters: Pick<Meters, "passed" | "visited">, log: Log): Traffic {
  return (arrival) => passing(arrival, meters, log);
}

function passing(
  { request, requestId, sandboxId, port }: Arrival,
  meters: Pick<Meters, "passed" | "visited">,
  log: Log,
): Passing {
  const begun = performance.now();
  const kind = kindOf(port);
  const leave = meters.visited(kind);
  const name = `proxy ${kind}`;
  const span = requestSpan(name, request.headers);
  const bytes = { in: 0, out: 0 };
  let tenantId: string | undefined;
  return {
    passed(direction, count) {
      bytes[direction] += count;
      meters.passed(direction, count);
    },
    belongs(owner) {
      tenantId = owner;
    },
    over(status) {
      leave(status);
      const route = routeOf(request.method, request.url, port);
      log("debug", "traffic", {
        requestId,
        sandboxId,
        tenantId,
        route,
        port,
        status,
        durationMs: Math.round(secondsSince(begun) * 10_000) / 10,
        bytesIn: bytes.in,
        bytesOut: bytes.out,
      });
      const attributes = {
        "cofferdam.sandbox.id": sandboxId,
        "cofferdam.port": port,
        "http.request.method": request.method ?? "",
        "http.route": route,
        "cofferdam.request.id": requestId,
      };
      span.end({ name, status, attributes });
    },
  };
}

function kindOf(port: number): "agent" | "code" | "other" {
  if (!isAgentPort(port)) return "other";
  return port === agentPort ? "agent" : "code";
}

/** What programs of a guest are asked for is theirs: only the agent's own paths are told, without what stands behind `?`. */
function routeOf(method: string = "", url: string = "", port: number): string {
  return isAgentPort(port) ? `${method} ${url.split("?", 1)[0]?.slice(0, 128)}` : method;
}
