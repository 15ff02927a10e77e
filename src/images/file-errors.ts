import { SandboxError } from "../core/errors.ts";

/** The code of a system call's error (`ENOENT`), if it is one. */
export function systemCode(error: unknown): string | undefined {
  return error instanceof Error && "code" in error && typeof error.code === "string"
    ? error.code
    : undefined;
}

export function isMissing(error: unknown): boolean {
  const code = systemCode(error);
  return code === "ENOENT" || code === "ENOTDIR";
}

/** A failed system call as what the caller can act on; other errors as they are. */
export function fileError(error: unknown, doing: string): unknown {
  const code = systemCode(error);
  if (code === "ENOSPC" || code === "EDQUOT") return diskFull(doing, error);
  if (code === "EACCES" || code === "EPERM" || code === "EROFS")
    return new SandboxError("denied", `${doing}: no permission`, {
      cause: error,
      mend: "run it as root, or name a state directory that you may write to",
    });
  return error;
}

export function diskFull(doing: string, cause?: unknown): SandboxError {
  return new SandboxError("disk-full", `${doing}: the host's disk is full`, {
    cause,
    mend: "free some space, or name a state directory on a larger disk",
  });
}
