import { basename, posix } from "node:path";
import { invalid } from "../core/validate.ts";

/** A file or directory on its way in or out. */
export interface Transfer {
  readonly local: string;
  /** Inside the sandbox; relative ones start at the user's home. */
  readonly remote: string;
}

/** `LOCAL[:REMOTE]`. The remote name is the local one unless it is told; `DIR/` puts it there. Throws `invalid`. */
export function parseUpload(value: string): Transfer {
  const [local, remote] = halves("upload", value);
  return { local, remote: placed(remote, () => nameOf("upload", local)) };
}

/** `REMOTE[:LOCAL]`. The local name is the remote one, in this directory, unless it is told; `DIR/` puts it there. Throws `invalid`. */
export function parseDownload(value: string): Transfer {
  const [remote, local] = halves("download", value);
  return { remote, local: placed(local, () => nameOf("download", remote)) };
}

/** The halves of a value at its last colon. */
function halves(field: string, value: string): readonly [string, string | undefined] {
  const at = value.lastIndexOf(":");
  const parts = at < 0 ? [value] : [value.slice(0, at), value.slice(at + 1)];
  const [first = "", second] = parts;
  if (first === "" || second === "")
    throw invalid(
      field,
      `${JSON.stringify(value.slice(0, 60))} is not two paths with a colon between`,
      "a path that holds a colon itself needs the other one too: a:b:a:b",
    );
  if (value.includes("\0")) throw invalid(field, "a path must not hold a NUL character");
  return [first, second];
}

function nameOf(field: string, path: string): string {
  const name = basename(path);
  if (name !== "" && name !== "." && name !== ".." && name !== "~") return name;
  throw invalid(
    field,
    `${JSON.stringify(path.slice(0, 60))} has no name of its own`,
    "say what it is called on the other side: PATH:NAME",
  );
}

function placed(target: string | undefined, name: () => string): string {
  if (target === undefined) return name();
  return target.endsWith("/") ? posix.join(target, name()) : target;
}
