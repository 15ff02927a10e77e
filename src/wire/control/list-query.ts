import { z } from "zod";

/** What `GET /v2/sandboxes` asks for. */
export interface ListQuery {
  readonly metadata?: Readonly<Record<string, string>> | undefined;
  readonly states: readonly ("running" | "paused")[];
  /** RFC 3339 in UTC with milliseconds. */
  readonly startedAfter?: string | undefined;
  readonly template?: string | undefined;
  readonly order: "asc" | "desc";
  readonly limit: number;
  readonly nextToken?: string | undefined;
}

const mostAtOnce = 100;

/**
 * Pairs as clients write them: each name and value percent-encoded, then a form, then a query, of which the reader has
 * taken away the last already.
 */
const metadata = z.string().transform((form, context) => {
  try {
    const pairs = [...new URLSearchParams(form)].map(
      ([name, value]) => [decodeURIComponent(name), decodeURIComponent(value)] as const,
    );
    return Object.fromEntries(pairs);
  } catch {
    context.addIssue({ code: "custom", message: "is not percent-encoded as it should be" });
    return z.NEVER;
  }
});

const states = z
  .array(z.string())
  .transform((texts) => texts.flatMap((text) => text.split(",")).filter((text) => text !== ""))
  .pipe(z.array(z.enum(["running", "paused"])))
  .transform((known) => (known.length === 0 ? (["running", "paused"] as const) : known));

/** Takes each parameter's text; `state` may stand several times and hold commas. */
export const listQuery: z.ZodType<ListQuery> = z.object({
  metadata: metadata.optional(),
  states,
  startedAfter: z.iso
    .datetime({ offset: true })
    .transform((text) => new Date(text).toISOString())
    .optional(),
  template: z.string().min(1).max(256).optional(),
  order: z.enum(["asc", "desc"]).default("desc"),
  limit: z.coerce.number().int().min(1).max(mostAtOnce).default(mostAtOnce),
  nextToken: z.string().min(1).max(1024).optional(),
});
