import type { z } from "zod";
import { SandboxError } from "../../core/errors.ts";
import type { Kept } from "../../core/kept.ts";
import {
  type ToldSandbox,
  ownSandbox,
  toldSandbox,
  toldSandboxes,
} from "../../wire/control/service-answers.ts";
import type { Api } from "./api.ts";
import { malformedAnswer } from "./failures.ts";

const pageSize = 100;
const maxPages = 1000;

/** Ends a sandbox. `false`: there was none. */
export async function killSandbox(api: Api, id: string): Promise<boolean> {
  try {
    await api.ask({ method: "DELETE", path: `/sandboxes/${id}` });
    return true;
  } catch (cause) {
    if (isGone(cause)) return false;
    throw cause;
  }
}

export function isGone(cause: unknown): boolean {
  return cause instanceof SandboxError && cause.code === "not-found";
}

export function findSandbox(api: Api, id: string): Promise<ToldSandbox> {
  return api.read({ method: "GET", path: `/sandboxes/${id}` }, toldSandbox, "sandbox");
}

/** The same of a server of ours, which remembers what has ended. */
export function findOwn(api: Api, id: string): Promise<ToldSandbox> {
  return api.read({ method: "GET", path: `/cofferdam/v1/sandboxes/${id}` }, ownSandbox, "sandbox");
}

/** Stops a sandbox and keeps it. Throws `conflict` for one that is paused. */
export async function pauseSandbox(api: Api, id: string, kept: Kept): Promise<void> {
  const body = { memory: kept === "memory" };
  await api.ask({ method: "POST", path: `/sandboxes/${id}/pause`, body });
}

/** Every sandbox of the key, page by page. */
export async function* listSandboxes(api: Api): AsyncGenerator<ToldSandbox> {
  const pages = pagesOf(api, "/v2/sandboxes", {
    query: { state: "running,paused", limit: String(pageSize) },
    token: "nextToken",
    schema: toldSandboxes,
    what: "list of sandboxes",
  });
  for await (const page of pages) yield* page;
}

interface Pages<T> {
  readonly query: Readonly<Record<string, string>>;
  /** The parameter that names the next page. */
  readonly token: string;
  readonly schema: z.ZodType<T>;
  readonly what: string;
}

/** The pages of a list. Throws `untrusted` for one that does not end. */
export async function* pagesOf<T>(
  api: Api,
  path: string,
  { query, token, schema, what }: Pages<T>,
): AsyncGenerator<T> {
  let next: string | undefined;
  for (let page = 0; page < maxPages; page += 1) {
    const asked = new URLSearchParams({
      ...query,
      ...(next === undefined ? {} : { [token]: next }),
    });
    const answer = await api.ask({ method: "GET", path: `${path}?${asked.toString()}` });
    const parsed = schema.safeParse(answer.body);
    if (!parsed.success) throw malformedAnswer(what, parsed.error);
    yield parsed.data;
    if (answer.nextToken === undefined) return;
    if (answer.nextToken === next) break;
    next = answer.nextToken;
  }
  throw malformedAnswer(`${what}, which does not end`);
}
