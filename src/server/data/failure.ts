import { SandboxError } from "../../core/errors.ts";
import { type Refusal, badAnswer, notFound, portClosed } from "./refusal.ts";
import { isAgentPort } from "./target.ts";

/** Codes of a system call that say that nobody is there. */
const nobodyThere = new Set(["ENOENT", "ECONNREFUSED", "EACCES", "ENOTFOUND", "EHOSTUNREACH"]);
const brokenOff = new Set(["ECONNRESET", "EPIPE"]);

/** What a request that got no answer from its sandbox is told. */
export function unanswered(sandboxId: string, port: number, cause: unknown): Refusal {
  if (cause instanceof SandboxError) {
    if (cause.code === "unavailable") return portClosed(sandboxId, port);
    if (cause.code === "lost") return notFound(sandboxId);
    return badAnswer(sandboxId, cause.message);
  }
  const code = codeOf(cause);
  if (code !== undefined && nobodyThere.has(code)) return notFound(sandboxId);
  if (code === undefined || brokenOff.has(code))
    return isAgentPort(port)
      ? notFound(sandboxId)
      : badAnswer(sandboxId, "The sandbox closed the connection without an answer");
  return badAnswer(sandboxId, "The sandbox sent what is not HTTP");
}

/** Whether a connection broke before anything was said on it. */
export function isBrokenOff(cause: unknown): boolean {
  const code = codeOf(cause);
  return code !== undefined && brokenOff.has(code);
}

function codeOf(cause: unknown): string | undefined {
  if (!(cause instanceof Error) || !("code" in cause)) return undefined;
  return typeof cause.code === "string" ? cause.code : undefined;
}
