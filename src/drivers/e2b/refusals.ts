import { SandboxError } from "../../core/errors.ts";
import type { Kept } from "../../core/kept.ts";
import type { Lease, SandboxSpec } from "../../core/spec.ts";

export function unsupported(field: string, message: string, mend: string): SandboxError {
  return new SandboxError("unsupported", `${field}: ${message}`, { field, mend });
}

/** What is kept when the lifetime pauses it; `undefined`: it ends. */
export function keptAtEnd({ atLifetimeEnd }: Lease): Kept | undefined {
  return atLifetimeEnd === "end" ? undefined : atLifetimeEnd;
}

/** Throws `unsupported`, with the field, for what no service of this kind can be told. */
export function refuseWhatNoServiceTakes({ id, accessToken, seccomp }: SandboxSpec): void {
  if (id !== undefined)
    throw unsupported("id", "the service chooses the ids of sandboxes", "leave it out");
  if (accessToken !== undefined)
    throw unsupported("accessToken", "the service chooses its own", "leave it out");
  if (seccomp !== undefined)
    throw unsupported("seccomp", "the service takes no profile", "leave it out");
}
