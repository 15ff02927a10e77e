import { type IncomingMessage, request as plainRequest } from "node:http";
import { request as securedRequest } from "node:https";
import { rootCertificates } from "node:tls";
import { type ErrorCode, SandboxError, meanings } from "../core/errors.ts";
import type { ServerAddress } from "./server-options.ts";

/** A server that is asked, and answers in JSON. */
export interface ServerClient {
  readonly url: string;
  /** Whether the key is the operator's token, which opens what is about the server itself. */
  readonly isOperator: boolean;
  /** Throws what the server answers, and `unavailable` where it does not. */
  get(path: string, query?: Readonly<Record<string, string | undefined>>): Promise<unknown>;
}

type Address = Pick<ServerAddress, "url" | "apiKey" | "ca"> & {
  /** A file to ask by, instead of the address. */
  readonly socketPath?: string;
};

const patienceMs = 30_000;
const maxAnswerBytes = 16_777_216;

export function serverClient(address: Address, signal: AbortSignal): ServerClient {
  const { url, apiKey, ca, socketPath } = address;
  const isOperator = apiKey.startsWith("cofferdam_operator_");
  const headers: Readonly<Record<string, string>> = isOperator
    ? { authorization: `Bearer ${apiKey}` }
    : { "x-api-key": apiKey };
  return {
    url,
    isOperator,
    async get(path, query = {}) {
      const target = new URL(path, url);
      for (const [name, value] of Object.entries(query))
        if (value !== undefined) target.searchParams.set(name, value);
      const { status, text } = await ask(target, { headers, ca, socketPath, signal });
      const body = parsed(text, target);
      if (status === 200) return body;
      throw refusal(status, body);
    },
  };
}

interface Asking {
  readonly headers: Readonly<Record<string, string>>;
  readonly ca: string | undefined;
  readonly socketPath: string | undefined;
  readonly signal: AbortSignal;
}

function ask(
  target: URL,
  { headers, ca, socketPath, signal }: Asking,
): Promise<{ readonly status: number; readonly text: string }> {
  return new Promise((resolve, reject) => {
    const fail = (cause: Error): void => reject(unreached(target, cause, signal));
    const take = (answer: IncomingMessage): void => {
      textOf(answer).then((text) => resolve({ status: answer.statusCode ?? 0, text }), fail);
    };
    const options = { headers, signal, socketPath, timeout: patienceMs, agent: false } as const;
    const sent =
      target.protocol === "https:"
        ? securedRequest(
            target,
            { ...options, ...(ca === undefined ? {} : { ca: [...rootCertificates, ca] }) },
            take,
          )
        : plainRequest(target, options, take);
    sent.on("timeout", () => void sent.destroy(new Error("it did not answer in time")));
    sent.on("error", fail);
    sent.end();
  });
}

async function textOf(answer: IncomingMessage): Promise<string> {
  let text = "";
  answer.setEncoding("utf8");
  for await (const piece of answer) {
    text += String(piece);
    if (text.length > maxAnswerBytes) throw new Error("its answer has no end");
  }
  return text;
}

function unreached(target: URL, cause: Error, signal: AbortSignal): SandboxError {
  if (signal.aborted) return SandboxError.from(signal.reason);
  return new SandboxError("unavailable", `${target.origin} cannot be asked: ${cause.message}`, {
    field: "server",
    mend: "look whether the server runs; --ca FILE names the authority of a certificate of its own",
    cause,
  });
}

function parsed(text: string, { origin }: URL): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new SandboxError("untrusted", `${origin} answers what is not JSON`, {
      field: "server",
      mend: "see whether a Cofferdam serves there, and not something before it",
      cause,
    });
  }
}

function refusal(status: number, body: unknown): SandboxError {
  const isTold = typeof body === "object" && body !== null && "message" in body;
  const message = isTold ? String(body.message).slice(0, 1000) : `status ${status}`;
  return new SandboxError(codeOf(status), `the server says: ${message}`, { field: "apiKey" });
}

const codes: readonly ErrorCode[] = ["invalid", "unauthenticated", "denied", "not-found"];

function codeOf(status: number): ErrorCode {
  return codes.find((code) => meanings[code].http === status) ?? "unavailable";
}
