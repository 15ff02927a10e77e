import { randomBytes } from "node:crypto";
import type { ClientRequest } from "node:http";

/** A form of files that is ready to be sent. */
export interface Multipart {
  readonly contentType: string;
  readonly sizeBytes: number;
  send(request: ClientRequest): void;
}

/** Names that every reader of a quoted file name understands alike. */
const plainName = /^[^\p{Cc}"\\]+$/u;

/** Files as one form, each with its whole path as its file name; `undefined` when a path cannot stand in a form's head. */
export function multipart(
  files: readonly { readonly path: string; readonly data: Uint8Array }[],
): Multipart | undefined {
  if (!files.every(({ path }) => plainName.test(path))) return undefined;
  const boundary = `form-${randomBytes(24).toString("hex")}`;
  const parts = files.flatMap(({ path, data }) => [head(boundary, path), data, lineEnd]);
  parts.push(Buffer.from(`--${boundary}--\r\n`));
  return {
    contentType: `multipart/form-data; boundary=${boundary}`,
    sizeBytes: parts.reduce((sum, part) => sum + part.length, 0),
    send(request) {
      for (const part of parts) if (part.length > 0) request.write(part);
      request.end();
    },
  };
}

const lineEnd = Buffer.from("\r\n");

function head(boundary: string, path: string): Uint8Array {
  return Buffer.from(
    `--${boundary}\r\ncontent-disposition: form-data; name="file"; filename="${path}"\r\ncontent-type: application/octet-stream\r\n\r\n`,
  );
}
