import { z } from "zod";
import { serviceApi } from "../drivers/e2b/api.ts";
import { settingsOf } from "../drivers/e2b/options.ts";
import type { ServerAddress } from "./server-options.ts";
import { readableBytes, readableMs, table } from "./table.ts";

/** A template of a server. */
interface ServerTemplate {
  readonly name: string;
  readonly digest: string;
  readonly cpus: number;
  readonly memoryMiB: number;
  readonly diskMiB: number;
  readonly createdAt: string;
}

const name = z.string().min(1).max(512);
const amount = z.number().nonnegative();
const told = z
  .array(
    z.object({
      templateID: name,
      buildID: z.string().max(512),
      cpuCount: amount,
      memoryMB: amount,
      diskSizeMB: amount,
      createdAt: z.iso.datetime({ offset: true }),
    }),
  )
  .max(100_000);

/** What a server's sandboxes can be made from. Throws what the server refused it for, `unavailable`, `untrusted`. */
export async function serverTemplates({
  url,
  apiKey,
  ca,
}: ServerAddress): Promise<readonly ServerTemplate[]> {
  const api = serviceApi(settingsOf({ apiUrl: url, apiKey, ca }));
  const answer = await api.read(
    { method: "GET", path: "/v2/templates" },
    told,
    "list of templates",
  );
  return answer.map((each) => ({
    name: each.templateID,
    digest: each.buildID,
    cpus: each.cpuCount,
    memoryMiB: each.memoryMB,
    diskMiB: each.diskSizeMB,
    createdAt: each.createdAt,
  }));
}

/** Templates as a table for a person. */
export function serverTemplateTable(templates: readonly ServerTemplate[], now: Date): string {
  return table(
    ["NAME", "DIGEST", "CPUS", "MEMORY", "DISK", "AGE"],
    templates.map((each) => [
      each.name,
      each.digest.slice(0, 12),
      String(each.cpus),
      readableBytes(each.memoryMiB * 1_048_576),
      readableBytes(each.diskMiB * 1_048_576),
      readableMs(now.getTime() - Date.parse(each.createdAt)),
    ]),
  );
}
