import type { z } from "zod";
import { SandboxError } from "../../core/errors.ts";

/** The value as the schema has it. Throws `invalid`, naming the field. */
export function parsedAs<T>(schema: z.ZodType<T>, value: unknown): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const field = issue?.path.join(".") ?? "";
  const message = (issue?.message ?? "not understood").replace(/^Invalid input: /, "");
  throw new SandboxError("invalid", field === "" ? `body: ${message}` : `${field}: ${message}`, {
    field: field === "" ? "body" : field,
    cause: result.error,
  });
}
