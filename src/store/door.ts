import { z } from "zod";
import { SandboxError } from "../core/errors.ts";

/** The value as the schema has it. Throws `invalid` with the field. */
export function parsed<T>(schema: z.ZodType<T>, value: unknown): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  const field = issue?.path.join(".") ?? "";
  const message = issue?.message ?? "not understood";
  throw new SandboxError("invalid", field === "" ? message : `${field}: ${message}`, {
    ...(field === "" ? {} : { field }),
    cause: result.error,
  });
}

/** JSON from a row. Throws `internal`: the store alone writes rows. */
export function stored<T>(schema: z.ZodType<T>, json: string): T {
  try {
    return schema.parse(JSON.parse(json));
  } catch (cause) {
    throw new SandboxError("internal", "a row of the store is not understood", { cause });
  }
}

/** Text that both databases keep byte for byte. */
function text(maxCharacters: number): z.ZodType<string> {
  return z
    .string()
    .max(maxCharacters)
    .refine(
      (value) => !value.includes("\0") && isWellFormed(value),
      "must not hold NUL characters or halves of surrogate pairs",
    );
}

function isWellFormed(value: string): boolean {
  return !/\p{Surrogate}/u.test(value);
}

export const shortText: z.ZodType<string> = text(256).refine((value) => value !== "", "is empty");
export const longText: z.ZodType<string> = text(65_536);
/** A time of the store's one form. */
export const time: z.ZodType<string> = z
  .string()
  .regex(
    /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/,
    "expected a time like 2026-01-31T12:00:00.000Z",
  )
  .refine((value) => !Number.isNaN(Date.parse(value)), "is not a time");
export const digest: z.ZodType<string> = z
  .string()
  .regex(/^sha256:[0-9a-f]{64}$/, "expected sha256: and 64 hexadecimal digits");
export const textPairs: z.ZodType<Readonly<Record<string, string>>> = z
  .record(longText, longText)
  .refine((pairs) => Object.keys(pairs).length <= 1_000, "has more than 1,000 entries");
export const positive: z.ZodType<number> = z.number().positive();
export const count: z.ZodType<number> = z.number().int().min(0);
export const pageLimit: z.ZodType<number> = z.number().int().min(1).max(1_000);
