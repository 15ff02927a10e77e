import { type IncomingMessage, ServerResponse } from "node:http";
import { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { type InTurn, atMost } from "../../core/at-most.ts";
import { admits, isHidden } from "./admission.ts";
import { answerPreflight, openTo } from "./cross-origin.ts";
import { hostNameOf } from "./host-name.ts";
import { asksForPort, mayJoinPort } from "./port-tunnel.ts";
import { presences } from "./presence.ts";
import { lookupFailed, notFound, refusal, trafficRefused } from "./refusal.ts";
import { hasBody } from "./request-headers.ts";
import { type Facts, type Route, factsOf, isPreflight, routeOf, valuesOf } from "./route.ts";
import { readSignedUrl, signerAmong } from "./signed-url.ts";
import { type DataPlaneOptions, agentPort, isAgentPort } from "./target.ts";
import { requestIdOf } from "../request-id.ts";
import { type Traffic, untold } from "./traffic.ts";
import { type Caller, type VisitOptions, turnAway, visit } from "./visit.ts";

/** The streaming proxy to sandboxes, for a server of node:http. */
export interface DataPlane {
  /** Takes a request that is for a sandbox; `false`: it is not, and nothing was done. Also for `checkContinue`. */
  handle(request: IncomingMessage, response: ServerResponse): boolean;
  /** Takes an `upgrade` in the same way. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): boolean;
  /** Ends all that is under way. */
  close(): void;
}

/** Searches for who signed an address that run at once: each tries the tokens of all sandboxes. */
const searchesAtOnce = 2;

interface Plane extends VisitOptions {
  readonly searches: InTurn;
  readonly options: DataPlaneOptions & { readonly traffic: Traffic };
}

type Taken = Exclude<Route, { kind: "elsewhere" }>;
type SandboxRoute = Extract<Route, { kind: "sandbox" }>;

export function dataPlane(options: DataPlaneOptions): DataPlane {
  const domainName = hostNameOf(options.domain);
  if (domainName === undefined) throw new RangeError("domain: expected a host name");
  const plane: Plane = {
    options: { ...options, traffic: options.traffic ?? untold },
    searches: atMost(searchesAtOnce),
    idleTimeoutMs: options.idleTimeoutMs ?? 620_000,
    behindProxy: options.behindProxy ?? false,
    presences: presences({
      connectTimeoutMs: options.connectTimeoutMs ?? 12_000,
      maxPerSandbox: options.maxPerSandbox ?? 1024,
      maxTotal: options.maxTotal ?? 8192,
    }),
  };
  return {
    handle(request, response) {
      const facts = factsOf(request);
      const route = routeOf(facts, domainName);
      if (route.kind === "elsewhere") return false;
      const head = undefined;
      follow(plane, route, callerOf({ request, response, head }, route, facts));
      return true;
    },
    upgrade(request, socket, head) {
      const facts = factsOf(request);
      const route = routeOf(facts, domainName);
      if (route.kind === "elsewhere" || !(socket instanceof Socket)) return false;
      const response = answerOn(request, socket);
      const caller = callerOf({ request, response, head }, route, facts);
      if (hasBody(request))
        turnAway(caller, refusal(400, "a request for another protocol has no body"));
      else follow(plane, route, caller);
      return true;
    },
    close: () => plane.presences.close(),
  };
}

interface Asking {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly head: Buffer | undefined;
}

function callerOf({ request, response, head }: Asking, route: Taken, facts: Facts): Caller {
  const requestId = requestIdOf(request);
  return { request, response, upgradeHead: head, requestId, openTo: opening(route, facts) };
}

/** An ordinary answer on a connection that node:http has let go of. */
function answerOn(request: IncomingMessage, socket: Socket): ServerResponse {
  socket.on("error", () => socket.destroy());
  const response = new ServerResponse(request);
  response.shouldKeepAlive = false;
  response.assignSocket(socket);
  response.on("finish", () => socket.destroySoon());
  return response;
}

/** Programs of the guest say themselves who may read them; the agent leaves it to the proxy. */
function opening(route: Taken, facts: Facts): Readonly<Record<string, string>> {
  const ofAgent = route.kind === "signed" || (route.kind === "sandbox" && isAgentPort(route.port));
  return ofAgent ? openTo(facts) : {};
}

function follow(plane: Plane, route: Taken, caller: Caller): void {
  switch (route.kind) {
    case "refused":
      return turnAway(caller, refusal(400, route.message));
    case "preflight":
      return answerPreflight(caller.response, factsOf(caller.request));
    case "signed":
      followSignature(plane, caller).catch(() =>
        turnAway(caller, refusal(500, "something went wrong")),
      );
      return;
    case "sandbox":
      approach(plane, route, caller).catch((cause: unknown) =>
        turnAway(caller, lookupFailed(route.id, cause)),
      );
  }
}

async function followSignature(plane: Plane, caller: Caller): Promise<void> {
  const { method = "", url = "" } = caller.request;
  const signed = readSignedUrl(method, url);
  if (signed === undefined) return turnAway(caller, refusal(401, "invalid signature"));
  const { tokens } = plane.options;
  // Nobody is searched for who has left while waiting.
  const by = await plane.searches(() =>
    caller.response.destroyed
      ? Promise.resolve(undefined)
      : signerAmong(signed, tokens(), Date.now()),
  );
  if (by === undefined || caller.response.destroyed) return;
  if (by.kind === "nobody") return turnAway(caller, refusal(401, "invalid signature"));
  if (by.kind === "expired") return turnAway(caller, refusal(401, "signature is already expired"));
  follow(plane, { kind: "sandbox", id: by.id, port: agentPort, by: "signature" }, caller);
}

async function approach(plane: Plane, route: SandboxRoute, caller: Caller): Promise<void> {
  const { request, response } = caller;
  const { id, port } = route;
  const facts = factsOf(request);
  const { requestId } = caller;
  const passing = plane.options.traffic({ request, requestId, sandboxId: id, port });
  const answered = (): void => passing.over(response.statusCode);
  response.once("close", answered);
  if (isAgentPort(port) && isPreflight(facts)) return answerPreflight(response, facts);
  if (isHidden(facts.target, port)) return turnAway(caller, refusal(404, "not found"));
  const [trafficToken] = valuesOf(facts.rawHeaders, "e2b-traffic-access-token");
  const [accessToken] = valuesOf(facts.rawHeaders, "x-access-token");
  const signed = readSignedUrl(facts.method, facts.target);
  const wanted = { port, trafficToken, accessToken, signed };
  const target = await plane.options.find(id, wanted);
  if (response.destroyed || request.socket.destroyed) return;
  if (target === undefined || target.onEnd.aborted) return turnAway(caller, notFound(id));
  if (!admits(target, wanted)) return turnAway(caller, trafficRefused(id));
  passing.belongs(target.tenantId);
  if (asksForPort(request) && !mayJoinPort(target, request))
    return turnAway(caller, refusal(401, "X-Access-Token is missing or does not match"));
  visit({ caller, route, target, passing, answered }, plane);
}
