import type { IncomingMessage } from "node:http";
import { SandboxError } from "../../core/errors.ts";

const maxBodyBytes = 1_048_576;
const bodyTimeoutMs = 15_000;

/** The body of a request; an empty one is `{}`. Throws `invalid` for one that is too long or not JSON, `timed-out`, `cancelled`. */
export async function readJson(request: IncomingMessage): Promise<unknown> {
  const bytes = await readBody(request);
  if (bytes.length === 0) return {};
  try {
    return JSON.parse(new TextDecoder("utf8", { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new SandboxError("invalid", "body: expected JSON", {
      field: "body",
      mend: "send a JSON document in UTF-8",
      cause,
    });
  }
}

/** Leaves the connection as it is when it fails, so that the failure can be told on it. */
function readBody(request: IncomingMessage): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const pieces: Buffer[] = [];
    let length = 0;
    const fail = (error: SandboxError): void => {
      clearTimeout(timer);
      request.off("data", take);
      reject(error);
    };
    const timer = setTimeout(
      () =>
        fail(
          new SandboxError("timed-out", "body: it did not come in time", {
            field: "body",
            mend: "send it at once",
          }),
        ),
      bodyTimeoutMs,
    );
    const take = (piece: Buffer): void => {
      length += piece.length;
      if (length > maxBodyBytes)
        return fail(
          new SandboxError("invalid", `body: is longer than ${maxBodyBytes} bytes`, {
            field: "body",
            mend: "send less",
          }),
        );
      pieces.push(piece);
    };
    request.on("data", take);
    request.once("end", () => {
      clearTimeout(timer);
      resolve(Buffer.concat(pieces));
    });
    request.once("close", () => fail(new SandboxError("cancelled", "the caller has gone away")));
    request.once("error", () => fail(new SandboxError("cancelled", "the caller has gone away")));
  });
}
