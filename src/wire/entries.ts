import { z } from "zod";
import type { EntryInfo, WatchEvent, WriteInfo } from "../core/files.ts";
import { isFields, malformed, ownField } from "./json.ts";

const text = z.string().max(65_536);
const size = z.union([
  z.int().nonnegative(),
  z
    .string()
    .regex(/^\d{1,16}$/)
    .transform(Number),
]);

const entry = z.object({
  name: text.default(""),
  path: text.default(""),
  type: text.default(""),
  size: size.default(0),
  mode: z.int().nonnegative().default(0),
  permissions: text.default(""),
  owner: text.default(""),
  group: text.default(""),
  modifiedTime: z.iso.datetime({ offset: true }).optional(),
  symlinkTarget: text.optional(),
  metadata: z.record(z.string(), text).default({}),
});

const entryAnswer = z.object({ entry });
const entriesAnswer = z.object({ entries: z.array(entry).default([]) });
const written = z.array(z.object({ name: text, path: text }));

/** The entry of a `StatResponse`, `MoveResponse` or `MakeDirResponse`. Throws `untrusted`. */
export function parseEntryAnswer(value: unknown): EntryInfo {
  return entryInfo(checked(entryAnswer, value, "file entry").entry);
}

/** The entries of a `ListDirResponse`. Throws `untrusted`. */
export function parseEntriesAnswer(value: unknown): readonly EntryInfo[] {
  return checked(entriesAnswer, value, "directory listing").entries.map(entryInfo);
}

/** The answer to an upload. Throws `untrusted`. */
export function parseWritten(value: unknown): readonly WriteInfo[] {
  return checked(written, value, "answer to a write").map(({ name, path }) => ({
    name,
    path,
    type: "file",
  }));
}

const eventTypes: Readonly<Record<string, WatchEvent["type"]>> = {
  EVENT_TYPE_CREATE: "create",
  EVENT_TYPE_WRITE: "write",
  EVENT_TYPE_REMOVE: "remove",
  EVENT_TYPE_RENAME: "rename",
  EVENT_TYPE_CHMOD: "chmod",
};

const fileEvent = z.object({ name: text.default(""), type: text.default("") });

/** A `WatchDirResponse`: an event, `start`, or `undefined` for what nobody needs to know. Throws `untrusted`. */
export function parseWatchMessage(value: unknown): WatchEvent | "start" | undefined {
  if (!isFields(value)) throw malformed("file event");
  if (ownField(value, "start") !== undefined) return "start";
  const told = ownField(value, "filesystem");
  if (told === undefined) return undefined;
  const { name, type } = checked(fileEvent, told, "file event");
  const known = Object.hasOwn(eventTypes, type) ? eventTypes[type] : undefined;
  return known === undefined ? undefined : { type: known, name };
}

function entryInfo(told: z.output<typeof entry>): EntryInfo {
  return {
    name: told.name,
    path: told.path,
    type: told.type === "FILE_TYPE_DIRECTORY" ? "directory" : "file",
    sizeBytes: told.size,
    mode: told.mode,
    permissions: told.permissions,
    owner: told.owner,
    group: told.group,
    modifiedAt: new Date(told.modifiedTime ?? 0),
    symlinkTarget: told.symlinkTarget === "" ? undefined : told.symlinkTarget,
    metadata: told.metadata,
  };
}

function checked<T>(schema: z.ZodType<T>, value: unknown, what: string): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw malformed(what);
}
