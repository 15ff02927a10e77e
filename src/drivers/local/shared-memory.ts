import { createHash } from "node:crypto";
import { join } from "node:path";
import { z } from "zod";
import { SandboxError } from "../../core/errors.ts";
import type { CopiedDisk } from "../../guest/control-messages.ts";
import { readJson } from "./facts.ts";
import type { KeptMemory } from "./kept-memory.ts";
import type { MachinePlaces } from "./layout.ts";

/** A machine's memory that others are made from. */
export interface SharedMemory {
  readonly kept: KeptMemory;
  /** The guest layer that it was made with, whose programs it maps. */
  readonly guestLayer: string;
  /** Of the filter of system calls that its processes have; empty: they have none of their own. */
  readonly seccompDigest: string;
}

/** What a snapshot's page says of its memory. */
interface SharedPage {
  readonly digest: string;
  readonly runtime: string;
  readonly processor: string;
  /** The disk's alone. */
  readonly diskDigest: string;
  readonly guestLayer: string;
  readonly seccompDigest: string;
}

export const sharedSchema: z.ZodType<SharedPage> = z.object({
  digest: z.string(),
  runtime: z.string(),
  processor: z.string(),
  diskDigest: z.string(),
  guestLayer: z.string(),
  seccompDigest: z.string(),
});

const bundle = z.object({ linux: z.object({ seccomp: z.unknown().optional() }) });

/** What is to be known of the memory in a copy of a machine; `undefined`: none was copied. */
export async function sharedOf(
  places: MachinePlaces,
  [guestLayer = ""]: readonly string[],
  { digest: diskDigest, memory }: CopiedDisk,
): Promise<SharedPage | undefined> {
  if (memory === undefined) return undefined;
  const { digest, runtime, processor } = memory;
  const seccompDigest = await filterOf(places);
  return { digest, runtime, processor, diskDigest, guestLayer, seccompDigest };
}

export function sharedMemory(directory: string, page: SharedPage): SharedMemory {
  const { digest, runtime, processor, guestLayer, seccompDigest } = page;
  const kept = { directory: join(directory, "memory"), digest, runtime, processor };
  return { kept, guestLayer, seccompDigest };
}

/** Processes that come with a memory have the filter of system calls that they had. Throws `unsupported` for another one. */
export async function requireItsFilter(
  places: MachinePlaces,
  memory: SharedMemory | undefined,
): Promise<void> {
  if (memory === undefined || (await filterOf(places)) === memory.seccompDigest) return;
  throw new SandboxError("unsupported", "seccomp: the snapshot's processes have another filter", {
    field: "seccomp",
    mend: "ask for the filter that the snapshot's sandbox had",
  });
}

/** Of the filter in a machine's bundle; empty: there is none. */
async function filterOf(places: MachinePlaces): Promise<string> {
  const { linux } = bundle.parse(await readJson(join(places.bundle, "config.json")));
  return linux.seccomp === undefined ? "" : digestOf([JSON.stringify(linux.seccomp)]);
}

export function digestOf(texts: readonly string[]): string {
  return `sha256:${createHash("sha256").update(texts.join("\n")).digest("hex")}`;
}
