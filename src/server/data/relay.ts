import type { ClientRequest, IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { SandboxError } from "../../core/errors.ts";
import { type AnswerRules, answerHead, trailersOf } from "./answer-headers.ts";
import { isBrokenOff } from "./failure.ts";
import { expectsContinue, hasBody } from "./request-headers.ts";

/** One exchange between a client and a sandbox. */
export interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** Sends the head; called again once when a pooled connection turned out to be dead. */
  readonly send: () => ClientRequest;
  readonly rules: AnswerRules;
  /** The sandbox speaks another protocol from here on. Throws where it says so in a way that may not be passed on. */
  readonly agreed: (answer: IncomingMessage, guest: Duplex, head: Buffer) => void;
  /** Bytes of a body, to the sandbox or from it. */
  readonly passed: (direction: "in" | "out", bytes: number) => void;
  /** No answer came, or none that may be passed on. */
  readonly fail: (cause: unknown) => void;
}

const maxInformational = 16;
const lingerMs = 5000;

/** Passes a request on and its answer back, each as fast as it is taken; returns how to stop it. */
export function relay(exchange: Exchange): (cause?: Error) => void {
  let sent = attempt(exchange, (cause) => {
    if (!mayRepeat(exchange, sent, cause)) return exchange.fail(cause);
    sent = attempt(exchange, exchange.fail);
  });
  exchange.response.on("close", () => {
    if (!exchange.response.writableFinished) sent.destroy();
  });
  return (cause) => void sent.destroy(cause);
}

/** Only what has no body and changes nothing is said twice. */
function mayRepeat(exchange: Exchange, sent: ClientRequest, cause: unknown): boolean {
  const { request, response } = exchange;
  const harmless = request.method === "GET" || request.method === "HEAD";
  return (
    harmless && !hasBody(request) && sent.reusedSocket && isBrokenOff(cause) && !response.destroyed
  );
}

function attempt(exchange: Exchange, failed: (cause: unknown) => void): ClientRequest {
  const { request, response } = exchange;
  const sent = exchange.send();
  let isOver = false;
  const fail = (cause: unknown): void => {
    if (isOver) return;
    isOver = true;
    request.unpipe(sent);
    sent.destroy();
    failed(cause);
  };
  let informational = 0;
  sent.on("information", () => {
    informational += 1;
    if (informational > maxInformational)
      fail(new SandboxError("untrusted", "The sandbox sent interim answers without end"));
  });
  sent.on("continue", () => {
    if (!isOver && expectsContinue(request.rawHeaders) && !response.headersSent)
      response.writeContinue();
  });
  const settle = (answered: () => void): void => {
    if (isOver) return void sent.destroy();
    try {
      answered();
      isOver = true;
    } catch (cause) {
      fail(cause);
    }
  };
  sent.on("response", (answer) => settle(() => passBack(exchange, sent, answer)));
  if (request.headers.upgrade !== undefined)
    sent.on("upgrade", (answer, guest, head) => settle(() => exchange.agreed(answer, guest, head)));
  sent.on("error", fail);
  sent.on("close", () => fail(undefined));
  passOn(exchange, sent);
  return sent;
}

function passOn({ request, passed }: Exchange, sent: ClientRequest): void {
  if (!hasBody(request)) return void sent.end();
  if (expectsContinue(request.rawHeaders)) sent.flushHeaders();
  else setImmediate(() => sent.flushHeaders());
  request.on("error", () => sent.destroy());
  request.on("end", () => {
    const trailers = trailersOf(request.rawTrailers);
    if (trailers.length > 0) sent.addTrailers(trailers);
    sent.end();
  });
  request.pipe(sent, { end: false });
  request.on("data", (bytes: Buffer) => passed("in", bytes.length));
}

function passBack(exchange: Exchange, sent: ClientRequest, answer: IncomingMessage): void {
  const { request, response, rules } = exchange;
  const { status, reason, headers } = answerHead(answer, rules);
  response.sendDate = !headers.some(
    (text, place) => place % 2 === 0 && text.toLowerCase() === "date",
  );
  response.writeHead(status, reason, headers);
  const cut = (): void => cutOff(request);
  answer.on("error", cut);
  answer.on("close", () => {
    if (!answer.complete) cut();
  });
  answer.on("end", () => {
    const trailers = trailersOf(answer.rawTrailers);
    if (trailers.length > 0) response.addTrailers(trailers);
    response.end(() => linger(request, sent));
  });
  answer.pipe(response, { end: false });
  answer.on("data", (bytes: Buffer) => exchange.passed("out", bytes.length));
  setImmediate(() => {
    if (!response.writableEnded && !response.destroyed) response.flushHeaders();
  });
}

/** Ends a client's connection so that it cannot take what it has for the whole answer. */
export function cutOff({ httpVersion, socket }: IncomingMessage): void {
  if (httpVersion === "1.0" && !("encrypted" in socket)) socket.resetAndDestroy();
  else socket.destroy();
}

/** After an answer that did not wait for the whole request: takes what is still under way, for a while. */
export function linger(request: IncomingMessage, sent?: ClientRequest): void {
  if (request.complete || request.socket.destroyed || !hasBody(request)) return;
  sent?.destroy();
  if (sent !== undefined) request.unpipe(sent);
  request.resume();
  const timer = setTimeout(() => request.socket.destroy(), lingerMs);
  const settle = (): void => clearTimeout(timer);
  request.once("end", settle);
  request.once("close", settle);
}
