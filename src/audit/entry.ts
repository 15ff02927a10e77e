import { z } from "zod";
import { parsed } from "../store/door.ts";
import type { AuditEntry } from "./audit-record.ts";

const longestValue = 4_096;
const longestName = 256;
const mostDetails = 64;

/** Text of any origin, made so that both databases keep its bytes; what is too long is cut, since a record must not fail. */
function kept(maxCharacters: number): z.ZodType<string> {
  return z.string().transform((value) => {
    const cut = value.length <= maxCharacters ? value : `${value.slice(0, maxCharacters - 1)}…`;
    return Buffer.from(cut, "utf8").toString("utf8").replaceAll("\0", "\u{FFFD}");
  });
}

const name = kept(longestName);

const entrySchema: z.ZodType<AuditEntry> = z.strictObject({
  tenantId: name.nullable(),
  actor: name,
  action: name,
  sandboxId: name.nullable(),
  from: name.nullable(),
  result: name,
  details: z.record(name, kept(longestValue)).transform(firstOf),
});

function firstOf(details: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(details).slice(0, mostDetails));
}

/** The entry as it is written. Throws `invalid` for one that is not an entry. */
export function entryOf(entry: AuditEntry): AuditEntry {
  return parsed(entrySchema, entry);
}
