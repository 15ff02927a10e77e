import type { z } from "zod";
import type { AuditLog } from "../../audit/audit-log.ts";
import type { Authenticated } from "../../store/api-key.ts";
import type { Store } from "../../store/store.ts";
import type { Life } from "../life/life.ts";
import type { TemplateCatalog } from "../life/template-catalog.ts";
import type { Operator } from "../observe/operator.ts";
import { parsedAs } from "./parsed-as.ts";

/** What operations work with. */
export interface Control {
  readonly life: Life;
  readonly store: Store;
  readonly audit: AuditLog;
  readonly catalog: TemplateCatalog;
  /** Of this program. */
  readonly version: string;
  /** Whether the server takes new work. */
  readonly isReady: () => boolean;
  readonly operator: Operator;
  /** Aborts when the server is about to end. */
  readonly ending: AbortSignal;
}

/** One request, read so far as its operation needs. */
export interface Call<Body> {
  /** Whose key it came with. */
  readonly by: Authenticated;
  readonly body: Body;
  /** Aborts when the caller has gone away. */
  readonly signal: AbortSignal;
  /** A part of the path. */
  readonly param: (name: string) => string;
  /** Every value of a query's parameter. */
  readonly query: (name: string) => readonly string[];
}

export interface Answer {
  readonly status: number;
  /** JSON; absent: none. */
  readonly body?: unknown;
  /** In the body's place: text, whose type is among the headers. */
  readonly text?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** The sandbox that came of it, for the record. */
  readonly sandboxId?: string;
  /** Of a question that is asked again and again: whether there is more to be heard. One record stands for many. */
  readonly repeats?: boolean;
}

/** An operation as the router and the document see it. */
export interface Operation {
  /** Area and verb, as the audit log has it. */
  readonly name: string;
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** With `:name` for parts that vary. */
  readonly path: string;
  readonly summary: string;
  /** The status of success. */
  readonly success: number;
  /** What the body must be; absent: there is none. */
  readonly request: z.ZodType | undefined;
  /** Whom it lets in: everybody, a tenant by its key, or the server's keeper by the operator's token. */
  readonly guard: "open" | "key" | "operator";
  run(control: Control, call: Call<unknown>): Promise<Answer>;
}

interface Description {
  readonly name: string;
  readonly summary: string;
  readonly success?: number;
  /** Default `key`. */
  readonly guard?: Operation["guard"];
}

type Route = `${Operation["method"]} /${string}`;

/** An operation without a body. */
export function operation(
  route: Route,
  description: Description,
  run: (control: Control, call: Call<undefined>) => Promise<Answer>,
): Operation {
  return {
    ...described(route, description),
    request: undefined,
    run: (control, call) => run(control, { ...call, body: undefined }),
  };
}

/** An operation whose body is as the schema has it. */
export function operationWith<Body>(
  route: Route,
  description: Description & { readonly request: z.ZodType<Body> },
  run: (control: Control, call: Call<Body>) => Promise<Answer>,
): Operation {
  const { request } = description;
  return {
    ...described(route, description),
    request,
    run: (control, call) => run(control, { ...call, body: parsedAs(request, call.body) }),
  };
}

function described(
  route: Route,
  { name, summary, success = 200, guard = "key" }: Description,
): Omit<Operation, "request" | "run"> {
  const method = methods.find((known) => route.startsWith(`${known} `)) ?? "GET";
  return { method, path: route.slice(method.length + 1), name, summary, success, guard };
}

const methods = ["GET", "POST", "PUT", "PATCH", "DELETE"] as const;
