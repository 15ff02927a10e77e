import { createHash, timingSafeEqual } from "node:crypto";
import { setImmediate } from "node:timers/promises";

/** What a sandbox's file addresses are signed with. */
export interface SandboxToken {
  readonly id: string;
  readonly accessToken: string;
}

/** A signed file address. */
export interface SignedUrl {
  /** What is hashed before the token. */
  readonly prefix: string;
  /** What is hashed after it. */
  readonly suffix: string;
  readonly signature: string;
  /** Unix seconds; `undefined`: never. */
  readonly expiresAt: number | undefined;
}

export type SignedBy =
  | { readonly kind: "sandbox"; readonly id: string }
  | { readonly kind: "expired" }
  | { readonly kind: "nobody" };

/** Tried between two turns of the event loop, some hundred microseconds. */
const tokensAtOnce = 256;
const signatureForm = /^v1_[A-Za-z0-9+/]{43}$/;

/** Whether a request's target is a file address that carries a signature. */
export function asksForSignature(target: string): boolean {
  return target.startsWith("/files?") && /[?&]signature=/.test(target);
}

/** Reads a signed file address; `undefined` for one that no signature can be right for. */
export function readSignedUrl(method: string, target: string): SignedUrl | undefined {
  const operation = operationOf(method);
  if (operation === undefined || !asksForSignature(target)) return undefined;
  const query = new URLSearchParams(target.slice("/files?".length));
  const signature = query.get("signature") ?? "";
  const expiration = query.get("signature_expiration") ?? "";
  if (!signatureForm.test(signature) || !/^(?:-?\d{1,15})?$/.test(expiration)) return undefined;
  const expiresAt = expiration === "" ? undefined : Number(expiration);
  return {
    prefix: `${query.get("path") ?? ""}:${operation}:${query.get("username") ?? ""}:`,
    suffix: expiresAt === undefined ? "" : `:${expiresAt}`,
    signature,
    expiresAt,
  };
}

function operationOf(method: string): "read" | "write" | undefined {
  if (method === "GET" || method === "HEAD") return "read";
  return method === "POST" ? "write" : undefined;
}

/**
 * Whose token made the signature. All tokens are tried, so that the time tells nothing; the part before the token is
 * hashed once, so that a long path costs the same for one sandbox as for many.
 */
export function signedBy(url: SignedUrl, tokens: Iterable<SandboxToken>, nowMs: number): SignedBy {
  const given = Buffer.from(url.signature.slice("v1_".length), "base64");
  const begun = createHash("sha256").update(url.prefix);
  let found: string | undefined;
  for (const { id, accessToken } of tokens) {
    if (accessToken === "") continue;
    const digest = begun.copy().update(`${accessToken}${url.suffix}`).digest();
    if (timingSafeEqual(digest, given)) found = id;
  }
  if (found === undefined) return { kind: "nobody" };
  if (url.expiresAt !== undefined && url.expiresAt < Math.floor(nowMs / 1000))
    return { kind: "expired" };
  return { kind: "sandbox", id: found };
}

/** `signedBy` among any number of tokens, with room for others' work in between. */
export async function signerAmong(
  url: SignedUrl,
  tokens: Iterable<SandboxToken>,
  nowMs: number,
): Promise<SignedBy> {
  let answer: SignedBy = { kind: "nobody" };
  const judge = (some: readonly SandboxToken[]): void => {
    const by = signedBy(url, some, nowMs);
    if (by.kind !== "nobody") answer = by;
  };
  let some: SandboxToken[] = [];
  for (const token of tokens) {
    some.push(token);
    if (some.length < tokensAtOnce) continue;
    judge(some);
    some = [];
    await setImmediate();
  }
  judge(some);
  return answer;
}
