import { readFile, readdir } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import type { EndReason } from "../../core/driver.ts";
import type { Resources } from "../../core/spec.ts";
import { parseEndReason } from "../../guest/control-messages.ts";
import { isMissing } from "../../images/file-errors.ts";
import { endNoteFile } from "./layout.ts";
import { isMachineId } from "./machine-id.ts";

/** What another process of the host needs to list and open a machine. */
export interface MachineFacts {
  readonly version: 1;
  readonly driver: string;
  readonly template: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly resources: Resources;
  /** Environment that comes with its template, without what its own maker gave it. */
  readonly templateEnvs: Readonly<Record<string, string>>;
  /** Debian's version of the machine's own kernel. */
  readonly kernel?: string | undefined;
}

const factsSchema = z.object({
  version: z.literal(1),
  driver: z.string(),
  template: z.string(),
  metadata: z.record(z.string(), z.string()),
  resources: z.object({
    cpus: z.number(),
    memoryMiB: z.number(),
    diskMiB: z.number(),
    pids: z.number(),
    openFiles: z.number(),
  }),
  templateEnvs: z.record(z.string(), z.string()).default({}),
  kernel: z.string().optional(),
});

/** The facts of a machine; `undefined` when it is not there, or is going. */
export async function readFacts(file: string): Promise<MachineFacts | undefined> {
  const known = factsSchema.safeParse(await readJson(file));
  return known.success ? known.data : undefined;
}

/** Ids of all machines of a state directory, those that are made or end just now too. */
export async function machineIds(stateDir: string): Promise<readonly string[]> {
  try {
    return (await readdir(join(stateDir, "machines"))).filter(isMachineId);
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}

/** Why a machine ended; `undefined` when it has not, or nobody knows any more. */
export async function readEndNote(stateDir: string, id: string): Promise<EndReason | undefined> {
  const note = z
    .object({ reason: z.unknown() })
    .safeParse(await readJson(endNoteFile(stateDir, id)));
  return note.success ? parseEndReason(note.data.reason) : undefined;
}

/** A file of ours as JSON; `undefined` when it is not there or not whole. */
export async function readJson(file: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(file, "utf8"));
  } catch (error) {
    if (isMissing(error) || error instanceof SyntaxError) return undefined;
    throw error;
  }
}
