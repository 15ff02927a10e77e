import { z } from "zod";
import { type CodeContext, type CodeEvent, type CodeResult, languages } from "../core/code.ts";
import {
  type Fields,
  asFields,
  integerField,
  isFields,
  malformed,
  ownField,
  textField,
} from "./json.ts";

/** One line of a run: an event, its end, or `undefined` for what nobody needs to know. */
export type CodeLine = CodeEvent | { readonly type: "end" } | undefined;

const textForms = [
  "text",
  "html",
  "markdown",
  "svg",
  "png",
  "jpeg",
  "pdf",
  "latex",
  "javascript",
] as const;

/** A line of `/execute`, already JSON. Throws `untrusted`. */
export function parseCodeLine(value: unknown): CodeLine {
  const fields = asFields(value, "code event");
  switch (textField(fields, "type") ?? "") {
    case "stdout":
      return {
        type: "stdout",
        text: textField(fields, "text") ?? "",
        timestamp: timestampOf(fields),
      };
    case "stderr":
      return {
        type: "stderr",
        text: textField(fields, "text") ?? "",
        timestamp: timestampOf(fields),
      };
    case "result":
      return { type: "result", result: parseResult(fields) };
    case "error":
      return { type: "error", error: parseError(fields) };
    case "number_of_executions":
      return { type: "execution-count", count: integerField(fields, "execution_count") };
    case "end_of_execution":
      return { type: "end" };
    case "unexpected_end_of_execution":
      return {
        type: "error",
        error: { name: "KernelDied", value: "the kernel ended while the code ran", traceback: "" },
      };
    default:
      return undefined;
  }
}

function parseError(fields: Fields): { name: string; value: string; traceback: string } {
  return {
    name: textField(fields, "name") ?? "",
    value: textField(fields, "value") ?? "",
    traceback: textField(fields, "traceback") ?? "",
  };
}

/** When the agent said it; the host's own clock where it said nothing sensible. */
function timestampOf(fields: Fields): Date {
  const told = ownField(fields, "timestamp");
  const time = typeof told === "string" || typeof told === "number" ? new Date(told) : new Date();
  return Number.isNaN(time.getTime()) ? new Date() : time;
}

function parseResult(fields: Fields): CodeResult {
  const forms: Record<string, unknown> = {
    isMainResult: ownField(fields, "is_main_result") === true,
  };
  for (const form of textForms) {
    const value = textField(fields, form);
    if (value !== undefined) forms[form] = value;
  }
  for (const form of ["json", "chart"]) {
    const value = ownField(fields, form);
    if (value !== undefined && value !== null) forms[form] = value;
  }
  const data = ownField(fields, "data");
  if (data !== undefined && data !== null) forms["data"] = parseColumns(data);
  const extra = ownField(fields, "extra");
  if (isFields(extra)) forms["extra"] = extra;
  return { isMainResult: false, ...forms };
}

function parseColumns(value: unknown): Readonly<Record<string, readonly unknown[]>> {
  return Object.fromEntries(
    Object.entries(asFields(value, "data frame")).map(([name, column]) => {
      if (!Array.isArray(column)) throw malformed("data frame");
      return [name, column];
    }),
  );
}

const context = z.object({
  id: z.string().min(1).max(256),
  language: z.enum(languages),
  cwd: z.string().max(65_536),
});
const contextList = z.array(z.object({ id: z.string(), language: z.string(), cwd: z.string() }));

/** A context as `/contexts` gives it. Throws `untrusted`. */
export function parseContext(value: unknown): CodeContext {
  const parsed = context.safeParse(value);
  if (parsed.success) return parsed.data;
  throw malformed("code context");
}

/** The contexts of `/contexts`; those in languages that nobody here knows are left out. Throws `untrusted`. */
export function parseContexts(value: unknown): readonly CodeContext[] {
  const parsed = contextList.safeParse(value);
  if (!parsed.success) throw malformed("list of code contexts");
  return parsed.data.filter((each) => context.safeParse(each).success).map(parseContext);
}
