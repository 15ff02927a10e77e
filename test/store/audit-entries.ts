import * as fc from "fast-check";
import type { AuditEntry } from "../../src/audit/audit-record.ts";

export function entry(changes: Partial<AuditEntry> = {}): AuditEntry {
  return {
    tenantId: null,
    actor: "server",
    action: "sandbox.create",
    sandboxId: null,
    from: null,
    result: "ok",
    details: {},
    ...changes,
  };
}

const text = fc.string({ unit: "binary", maxLength: 12 });

/** Entries of any text, halves of surrogate pairs and NUL among it. */
export const anyEntry: fc.Arbitrary<AuditEntry> = fc.record({
  tenantId: fc.option(text),
  actor: text,
  action: text,
  sandboxId: fc.option(text),
  from: fc.option(text),
  result: text,
  details: fc.dictionary(text, text, { maxKeys: 4 }),
});
