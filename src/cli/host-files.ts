import type { ErrorCode } from "../core/errors.ts";
import { SandboxError } from "../core/errors.ts";

const codes: Readonly<Record<string, readonly [ErrorCode, string]>> = {
  ENOENT: ["not-found", "does not exist"],
  ENOTDIR: ["not-found", "lies below something that is no directory"],
  EACCES: ["denied", "may not be used by this user"],
  EPERM: ["denied", "may not be used by this user"],
  EROFS: ["denied", "lies on a read-only file system"],
  EISDIR: ["invalid", "is a directory"],
  ENAMETOOLONG: ["invalid", "has too long a name"],
  ELOOP: ["invalid", "is a loop of symbolic links"],
  ENXIO: ["invalid", "is no file that can be read"],
  ENOSPC: ["disk-full", "does not fit: the host's disk is full"],
  EEXIST: ["already-exists", "is there already"],
};

/** The error for a file of the host that could not be used, with its path; what is typed already stays as it is. */
export function hostFileError(field: string, path: string, cause: unknown): SandboxError {
  if (cause instanceof SandboxError) return cause;
  const name = cause instanceof Error && "code" in cause ? String(cause.code) : "";
  const known = Object.hasOwn(codes, name) ? codes[name] : undefined;
  if (known === undefined) return SandboxError.from(cause, `${path} could not be used`);
  return new SandboxError(known[0], `${path} ${known[1]}`, { field, cause });
}
