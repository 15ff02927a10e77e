import type { IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { unanswered } from "./failure.ts";
import { asksForPort, joinPort, portAgreement } from "./port-tunnel.ts";
import { requestIdHeader } from "../request-id.ts";
import type { Presences, Stay } from "./presence.ts";
import { type Refusal, lookupFailed, notFound, refusal, refuse, tooMany } from "./refusal.ts";
import { type Exchange, cutOff, linger, relay } from "./relay.ts";
import { requestHeaders } from "./request-headers.ts";
import { type Route, valuesOf } from "./route.ts";
import { type Target, isAgentPort } from "./target.ts";
import type { Passing } from "./traffic.ts";
import { agreement, join } from "./tunnel.ts";

/** A client that asks. */
export interface Caller {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** What the client said after its head, where it asks for another protocol. */
  readonly upgradeHead: Buffer | undefined;
  readonly requestId: string;
  /** What lets pages of other origins read the answer. */
  readonly openTo: Readonly<Record<string, string>>;
}

/** A caller that was admitted to a sandbox. */
export interface Visitor {
  readonly caller: Caller;
  readonly route: Extract<Route, { kind: "sandbox" }>;
  readonly target: Target;
  readonly passing: Passing;
  /** Listens for the end of the answer. */
  readonly answered: () => void;
}

export interface VisitOptions {
  readonly presences: Presences;
  readonly idleTimeoutMs: number;
  readonly behindProxy: boolean;
}

/** Answers in the sandbox's place. Does nothing where an answer has begun. */
export function turnAway({ request, response, requestId, openTo }: Caller, why: Refusal): void {
  response.once("finish", () => linger(request));
  refuse(response, why, { ...openTo, [requestIdHeader]: requestId });
}

const nothing = (): void => undefined;

/** Takes a visitor to the sandbox and stays until either side leaves, nothing moves, or the sandbox ends. */
export function visit(visitor: Visitor, options: VisitOptions): void {
  const { caller, route, target } = visitor;
  const { request, response } = caller;
  let stop = nothing;
  const evict = (): void => {
    if (response.headersSent || response.socket === null) {
      if (!response.writableEnded) cutOff(request);
    } else turnAway(caller, notFound(route.id));
    stop();
  };
  const stay = options.presences.enter(target, route.port, evict);
  if (stay === undefined) return turnAway(caller, tooMany(route.id));
  response.once("close", stay.leave);
  limitIdleness(caller, options.idleTimeoutMs, () => stop());
  try {
    stop = follow(visitor, stay, options);
  } catch (cause) {
    turnAway(caller, lookupFailed(route.id, cause));
  }
}

function follow(visitor: Visitor, stay: Stay, options: VisitOptions): () => void {
  const { request, upgradeHead } = visitor.caller;
  const { join: joinTo } = stay.way;
  if (upgradeHead === undefined || joinTo === undefined || !asksForPort(request))
    return relay(exchange(visitor, stay, options));
  const { id, port } = visitor.route;
  return joinPort({
    request,
    joining: joinTo(),
    agreed(guest) {
      handOver(visitor, stay);
      const { passing } = visitor;
      const opening = { guestHead: Buffer.alloc(0), clientHead: upgradeHead, passing };
      tunnel(request.socket, guest, { text: portAgreement, ...opening });
    },
    fail: (cause) => turnAway(visitor.caller, unanswered(id, port, cause)),
  });
}

/** The connection is no answer's any more: the visit lasts as long as it does. */
function handOver({ caller, answered, passing }: Visitor, stay: Stay): void {
  const { request, response } = caller;
  response.off("close", stay.leave);
  response.off("close", answered);
  request.socket.once("close", () => {
    stay.leave();
    passing.over(switchingProtocols);
  });
  response.detachSocket(request.socket);
}

function limitIdleness(caller: Caller, idleTimeoutMs: number, stop: () => void): void {
  const { request, response, upgradeHead } = caller;
  request.socket.setTimeout(idleTimeoutMs);
  const idle = (): void => {
    if (response.headersSent || response.socket === null) request.socket.destroy();
    else turnAway(caller, refusal(504, "the sandbox did not answer in time"));
    stop();
  };
  if (upgradeHead === undefined) response.on("timeout", idle);
  else request.socket.on("timeout", idle);
}

function exchange(visitor: Visitor, stay: Stay, { behindProxy }: VisitOptions): Exchange {
  const { caller, route, target, passing } = visitor;
  const { request, response, upgradeHead } = caller;
  const { id, port, by } = route;
  const protocol = upgradeHead === undefined ? undefined : wantedProtocol(request);
  const headers = requestHeaders({
    request,
    target,
    port,
    byHeaders: by === "headers",
    behindProxy,
    way: stay.way,
  });
  if (protocol !== undefined) headers.push("Connection", "Upgrade", "Upgrade", protocol);
  const added = { ...caller.openTo, ...isolated(by), ...named(caller, port) };
  const rules = { ownHost: by === "host", added };
  return {
    request,
    response,
    rules,
    passed: (direction, bytes) => passing.passed(direction, bytes),
    send: () =>
      stay.way.send({
        method: request.method ?? "GET",
        path: request.url ?? "/",
        headers,
        pooled: protocol === undefined,
      }),
    agreed(answer, guest, guestHead) {
      const text = agreement(answer, rules);
      handOver(visitor, stay);
      tunnel(request.socket, guest, {
        text,
        guestHead,
        clientHead: upgradeHead ?? Buffer.alloc(0),
        passing,
      });
    },
    fail: (cause) => turnAway(caller, unanswered(id, port, cause)),
  };
}

/** A page that a guest serves at the server's own address must not act as the server's. */
function isolated(by: "host" | "headers" | "signature"): Readonly<Record<string, string>> {
  if (by === "host") return {};
  return { "content-security-policy": "sandbox", "x-content-type-options": "nosniff" };
}

const switchingProtocols = 101;

/** Programs of the guest name their answers themselves. */
function named({ requestId }: Caller, port: number): Readonly<Record<string, string>> {
  return isAgentPort(port) ? { [requestIdHeader]: requestId } : {};
}

/** The protocol that a client asks for. HTTP/2 is not passed on: the request is then one like any other. */
function wantedProtocol({ rawHeaders }: IncomingMessage): string | undefined {
  const wanted = valuesOf(rawHeaders, "upgrade").join(", ");
  return wanted === "" || /\bh2c\b/i.test(wanted) ? undefined : wanted;
}

interface Opening {
  readonly text: string;
  /** What either side said already. */
  readonly guestHead: Buffer;
  readonly clientHead: Buffer;
  readonly passing: Passing;
}

function tunnel(
  client: Duplex,
  guest: Duplex,
  { text, guestHead, clientHead, passing }: Opening,
): void {
  client.write(text);
  if (guestHead.length > 0) client.write(guestHead);
  if (clientHead.length > 0) guest.write(clientHead);
  passing.passed("out", guestHead.length);
  passing.passed("in", clientHead.length);
  join(client, guest);
  client.on("data", (bytes: Buffer) => passing.passed("in", bytes.length));
  guest.on("data", (bytes: Buffer) => passing.passed("out", bytes.length));
}
