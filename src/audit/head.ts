import { SandboxError } from "../core/errors.ts";
import type { Queries } from "../store/schema.ts";
import type { AuditHead } from "./audit-record.ts";

/** The end of the chain as the store notes it. Throws `untrusted` when the note is gone. */
export async function headOf(queries: Queries): Promise<AuditHead> {
  const row = await queries
    .selectFrom("audit_head")
    .select(["seq", "hash"])
    .where("id", "=", 1)
    .executeTakeFirst();
  if (row === undefined)
    throw new SandboxError("untrusted", "the audit log has lost its head", {
      mend: "run `cofferdam audit verify`, and restore the last backup beside it to compare",
    });
  return { seq: Number(row.seq), hash: row.hash };
}
