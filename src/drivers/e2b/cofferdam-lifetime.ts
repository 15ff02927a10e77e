import type { Api } from "./api.ts";

/** Ends a sandbox of a server of ours this long from now. Milliseconds. */
export async function setLifetime(api: Api, id: string, lifetimeMs: number): Promise<void> {
  const path = `/cofferdam/v1/sandboxes/${id}/lifetime`;
  await api.ask({ method: "POST", path, body: { lifetimeMs }, isRepeatable: true });
}
