import { type IncomingMessage, STATUS_CODES } from "node:http";
import { SandboxError } from "../../core/errors.ts";
import { type RawHeaders, passedOn } from "./headers.ts";
import { valuesOf } from "./route.ts";

/** How the proxy changes answers on their way out. */
export interface AnswerRules {
  /** Whether the guest speaks under a host name of its own, next to those of others. */
  readonly ownHost: boolean;
  /** Replace what the guest said under these names. */
  readonly added: Readonly<Record<string, string>>;
}

/** The head of an answer as it may leave. */
export interface AnswerHead {
  readonly status: number;
  readonly reason: string;
  readonly headers: string[];
}

const maxHeaders = 256;

/** Judges the head that a guest sent; throws `untrusted` for one that another parser could read otherwise. */
export function answerHead(answer: IncomingMessage, rules: AnswerRules): AnswerHead {
  const { statusCode: status = 0, statusMessage = "", rawHeaders } = answer;
  if (status < 200 || status > 599) throw untrusted("an impossible status");
  const codings = valuesOf(rawHeaders, "transfer-encoding");
  if (codings.length > 1 || codings.some((coding) => coding.toLowerCase() !== "chunked"))
    throw untrusted("an unknown transfer coding");
  const hasLength = codings.length === 0 && status !== 204;
  const headers = answerHeaders(rawHeaders, rules, hasLength ? [] : ["content-length"]);
  return { status, reason: reasonOf(status, statusMessage), headers };
}

/** Headers of a guest as they may leave. Throws `untrusted` where there are too many. */
export function answerHeaders(
  raw: RawHeaders,
  rules: AnswerRules,
  without: readonly string[],
): string[] {
  if (raw.length > 2 * maxHeaders) throw untrusted("too many headers");
  const headers = passedOn(raw, new Set([...Object.keys(rules.added), ...without]));
  if (rules.ownHost) keepCookiesHome(headers);
  for (const [name, value] of Object.entries(rules.added)) headers.push(name, value);
  return headers;
}

/** Trailers as they may leave; none where there are too many. */
export function trailersOf(raw: RawHeaders): [string, string][] {
  if (raw.length > 2 * maxHeaders) return [];
  const kept = passedOn(raw, new Set(["content-length", "host", "trailer", "set-cookie"]));
  return Array.from({ length: kept.length / 2 }, (_, index) => [
    kept[2 * index] ?? "",
    kept[2 * index + 1] ?? "",
  ]);
}

function reasonOf(status: number, said: string): string {
  return /^[\u0020-\u007e]{1,128}$/.test(said) ? said : (STATUS_CODES[status] ?? "Unknown");
}

/** A cookie for the whole domain would reach other sandboxes and the server. */
function keepCookiesHome(headers: string[]): void {
  for (let index = 0; index + 1 < headers.length; index += 2) {
    if (headers[index]?.toLowerCase() !== "set-cookie") continue;
    headers[index + 1] = (headers[index + 1] ?? "")
      .split(";")
      .filter((part, place) => place === 0 || !/^\s*domain\s*(=|$)/i.test(part))
      .join(";");
  }
}

function untrusted(what: string): SandboxError {
  return new SandboxError("untrusted", `The sandbox sent an answer with ${what}`);
}
