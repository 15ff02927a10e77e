import { SandboxError } from "../../core/errors.ts";
import {
  type ToldSandbox,
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

/** Every sandbox of the key, page by page. */
export async function* listSandboxes(api: Api): AsyncGenerator<ToldSandbox> {
  let token: string | undefined;
  for (let page = 0; page < maxPages; page += 1) {
    const query = new URLSearchParams({ state: "running,paused", limit: String(pageSize) });
    if (token !== undefined) query.set("nextToken", token);
    const { body, nextToken } = await api.ask({
      method: "GET",
      path: `/v2/sandboxes?${query.toString()}`,
    });
    const parsed = toldSandboxes.safeParse(body);
    if (!parsed.success) throw malformedAnswer("list of sandboxes", parsed.error);
    yield* parsed.data;
    if (nextToken === undefined) return;
    if (nextToken === token) throw malformedAnswer("list of sandboxes, which does not end");
    token = nextToken;
  }
  throw malformedAnswer("list of sandboxes, which does not end");
}
