import { appendFileSync, mkdirSync } from "node:fs";
import { SandboxError } from "../../core/errors.ts";

/** A creation for which the gate of known escapes was overridden. */
export interface Override {
  readonly driver: string;
  readonly runtime: string;
  readonly version: string;
  /** CVE of each escape. */
  readonly escapes: readonly string[];
}

/** Where overrides are recorded: a line of JSON each, only ever appended. */
export function overrideAuditFile(stateDir: string): string {
  return `${stateDir}/audit.jsonl`;
}

/** Records an override before anything starts. Throws `internal` where it cannot be recorded, and nothing starts then. */
export function recordOverride(stateDir: string, override: Override): void {
  const line = { at: new Date().toISOString(), event: "known-escapes-allowed", ...override };
  try {
    mkdirSync(stateDir, { recursive: true, mode: 0o711 });
    appendFileSync(overrideAuditFile(stateDir), `${JSON.stringify(line)}\n`, { mode: 0o600 });
  } catch (cause) {
    throw new SandboxError("internal", "the override of known escapes could not be recorded", {
      field: "allowKnownEscapes",
      mend: `make ${overrideAuditFile(stateDir)} writable`,
      cause,
    });
  }
}
