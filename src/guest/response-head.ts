import { SandboxError } from "../core/errors.ts";

/** The head of an HTTP answer, as far as a download needs it. */
export interface ResponseHead {
  readonly status: number;
  /** Bytes of the head itself. */
  readonly headBytes: number;
  /** Bytes of the body; `undefined` when the head does not tell, or tells of a coding. */
  readonly bodyBytes: number | undefined;
  /** Whether the connection may be asked again. */
  readonly reusable: boolean;
}

/** The head that the bytes begin with; `undefined` while it is incomplete. Throws `untrusted` for what is not HTTP/1.1. */
export function parseResponseHead(bytes: Buffer): ResponseHead | undefined {
  const end = bytes.indexOf("\r\n\r\n");
  if (end === -1) return undefined;
  const [statusLine = "", ...lines] = bytes.toString("latin1", 0, end).split("\r\n");
  const status = /^HTTP\/1\.1 ([1-5]\d\d)( |$)/.exec(statusLine)?.[1];
  if (status === undefined) throw notHttp();
  const headers = headersOf(lines);
  return {
    status: Number(status),
    headBytes: end + 4,
    bodyBytes: bodyBytesOf(headers),
    reusable: headers.get("connection")?.toLowerCase() !== "close",
  };
}

function headersOf(lines: readonly string[]): ReadonlyMap<string, string> {
  const headers = new Map<string, string>();
  for (const line of lines) {
    const colon = line.indexOf(":");
    if (colon < 1) throw notHttp();
    const name = line.slice(0, colon).toLowerCase();
    if (headers.has(name) && name === "content-length") throw notHttp();
    headers.set(name, line.slice(colon + 1).trim());
  }
  return headers;
}

function bodyBytesOf(headers: ReadonlyMap<string, string>): number | undefined {
  const length = headers.get("content-length");
  if (length === undefined || headers.has("transfer-encoding") || headers.has("content-encoding"))
    return undefined;
  if (!/^\d{1,15}$/.test(length)) throw notHttp();
  return Number(length);
}

function notHttp(): SandboxError {
  return new SandboxError("untrusted", "the sandbox sent what is not HTTP");
}
