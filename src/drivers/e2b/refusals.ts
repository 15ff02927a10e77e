import { SandboxError } from "../../core/errors.ts";
import type { SandboxSpec } from "../../core/spec.ts";

export function unsupported(field: string, message: string, mend: string): SandboxError {
  return new SandboxError("unsupported", `${field}: ${message}`, { field, mend });
}

/** Throws `unsupported`, with the field, for what no service of this kind can be told. */
export function refuseWhatNoServiceTakes({ id, accessToken, seccomp, lease }: SandboxSpec): void {
  if (id !== undefined)
    throw unsupported("id", "the service chooses the ids of sandboxes", "leave it out");
  if (accessToken !== undefined)
    throw unsupported("accessToken", "the service chooses its own", "leave it out");
  if (seccomp !== undefined)
    throw unsupported("seccomp", "the service takes no profile", "leave it out");
  if (lease.atLifetimeEnd === "memory" || lease.atLifetimeEnd === "files")
    throw unsupported("atLifetimeEnd", "this driver has no pause", "leave it out");
}
