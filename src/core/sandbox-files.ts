import type { Machine } from "./driver.ts";
import type { EntryInfo, FileContent, FileOptions, WatchEvent } from "./files.ts";
import { SandboxError } from "./errors.ts";
import { WatchHandle } from "./watch-handle.ts";
import {
  callback,
  flag,
  guestPath,
  invalid,
  isObject,
  numberIn,
  optionalText,
  optionsObject,
  signalOption,
  textMap,
  timeoutOption,
} from "./validate.ts";

/** What can be written to a file. */
export type FileData = string | ArrayBuffer | Uint8Array | Blob | ReadableStream<Uint8Array>;

/** One file of a write of many. */
export interface FileEntry {
  readonly path: string;
  readonly data: FileData;
}

/** Options that all file calls share. */
export interface FileCallOptions {
  /** Whose rights and home count. Default: the template's user. */
  readonly user?: string;
  readonly signal?: AbortSignal;
}

export interface FileWriteOptions extends FileCallOptions {
  /** Kept with the file as extended attributes `user.e2b.*`; replaced at each write. */
  readonly metadata?: Readonly<Record<string, string>>;
}

export interface WatchDirOptions extends FileCallOptions {
  /** Also what lies below. Default `false`. */
  readonly recursive?: boolean;
  /** Stops watching after this long. Milliseconds; 0: never; default 60,000. */
  readonly timeoutMs?: number;
  /** Called once when the watch is over: with the error that ended it, or with nothing. */
  readonly onExit?: (error?: SandboxError) => unknown;
}

/** What a path is, in E2B's words. The type follows symlinks; `symlinkTarget` says that it was one. */
export interface FileInfo {
  readonly name: string;
  readonly path: string;
  readonly type: "file" | "dir";
  /** Bytes. */
  readonly size: number;
  /** Permission bits only: 0o644. */
  readonly mode: number;
  /** As `ls -l` prints them: `-rw-r--r--`. */
  readonly permissions: string;
  readonly owner: string;
  readonly group: string;
  readonly modifiedTime: Date;
  readonly symlinkTarget?: string;
  readonly metadata?: Readonly<Record<string, string>>;
}

/** What was written. */
export interface WrittenFile {
  readonly name: string;
  readonly path: string;
  readonly type: "file";
}

const maxMetadataCharacters = 16_384;
const standardWatchMs = 60_000;

/** Files of a sandbox. Relative paths start at the user's home. All calls throw `invalid`, `not-found`, `denied`, `lost`. */
export class SandboxFiles {
  readonly #machine: Machine;

  constructor(machine: Machine) {
    this.#machine = machine;
  }

  /** Reads a file: text (UTF-8, the default), bytes, a blob, or a stream that slows with its reader. Throws `not-found`. */
  read(path: string, options?: FileCallOptions & { readonly format?: "text" }): Promise<string>;
  read(
    path: string,
    options: FileCallOptions & { readonly format: "bytes" },
  ): Promise<Uint8Array<ArrayBuffer>>;
  read(path: string, options: FileCallOptions & { readonly format: "blob" }): Promise<Blob>;
  read(
    path: string,
    options: FileCallOptions & { readonly format: "stream" },
  ): Promise<ReadableStream<Uint8Array>>;
  async read(
    path: string,
    options: FileCallOptions & { readonly format?: string } = {},
  ): Promise<unknown> {
    optionsObject(options, ["format", "user", "signal"]);
    const format = options.format ?? "text";
    if (!isFormat(format))
      throw invalid("format", `expected one of ${Object.keys(readers).join(", ")}`);
    const content = await this.#machine.files.read(guestPath("path", path), callOptions(options));
    return readers[format](content);
  }

  /** Writes a file, or many in one call. Makes directories on the way; replaces what was there. Throws `disk-full`. */
  write(path: string, data: FileData, options?: FileWriteOptions): Promise<WrittenFile>;
  write(files: readonly FileEntry[], options?: FileWriteOptions): Promise<readonly WrittenFile[]>;
  async write(
    target: string | readonly FileEntry[],
    dataOrOptions?: FileData | FileWriteOptions,
    options?: FileWriteOptions,
  ): Promise<WrittenFile | readonly WrittenFile[]> {
    if (typeof target !== "string") return this.writeFiles(target, writeOptionsOf(dataOrOptions));
    const writeOptions = parseWriteOptions(options);
    return this.#machine.files.write(
      guestPath("path", target),
      await dataOf("data", dataOrOptions),
      writeOptions,
    );
  }

  /** Writes many files in one call. */
  async writeFiles(
    files: readonly FileEntry[],
    options: FileWriteOptions = {},
  ): Promise<readonly WrittenFile[]> {
    if (!Array.isArray(files)) throw invalid("files", "expected a list of { path, data }");
    const writeOptions = parseWriteOptions(options);
    const entries: { path: string; data: Uint8Array }[] = [];
    for (const [index, file] of files.entries()) {
      const { path, data } = optionsObject(file, ["path", "data"], { at: `files[${index}]` });
      const ready = await dataOf(`files[${index}].data`, data);
      const bytes = ready instanceof Uint8Array ? ready : await bytesOfStream(ready);
      entries.push({ path: guestPath(`files[${index}].path`, path), data: bytes });
    }
    return entries.length === 0 ? [] : this.#machine.files.writeMany(entries, writeOptions);
  }

  /** Lists a directory, `depth` levels deep (default 1). */
  async list(
    path: string,
    options: FileCallOptions & { readonly depth?: number } = {},
  ): Promise<readonly FileInfo[]> {
    optionsObject(options, ["depth", "user", "signal"]);
    const depth = numberIn("depth", options.depth, { min: 1, max: 1000, unit: "levels" }) ?? 1;
    const entries = await this.#machine.files.list(guestPath("path", path), {
      ...callOptions(options),
      depth,
    });
    return entries.map(fileInfo);
  }

  /** Whether something is there. */
  async exists(path: string, options: FileCallOptions = {}): Promise<boolean> {
    try {
      await this.getInfo(path, options);
      return true;
    } catch (cause) {
      if (cause instanceof SandboxError && cause.code === "not-found") return false;
      throw cause;
    }
  }

  /** What a path is. Throws `not-found`. */
  async getInfo(path: string, options: FileCallOptions = {}): Promise<FileInfo> {
    optionsObject(options, ["user", "signal"]);
    return fileInfo(await this.#machine.files.stat(guestPath("path", path), callOptions(options)));
  }

  /** Makes a directory and those above it. `false`: it was there. */
  async makeDir(path: string, options: FileCallOptions = {}): Promise<boolean> {
    optionsObject(options, ["user", "signal"]);
    return this.#machine.files.makeDir(guestPath("path", path), callOptions(options));
  }

  /** Moves a file or a directory. Throws `not-found`. */
  async rename(oldPath: string, newPath: string, options: FileCallOptions = {}): Promise<FileInfo> {
    optionsObject(options, ["user", "signal"]);
    const moved = await this.#machine.files.move(
      guestPath("oldPath", oldPath),
      guestPath("newPath", newPath),
      callOptions(options),
    );
    return fileInfo(moved);
  }

  /** Removes a file, or a directory with all below it. What is missing is no error. */
  async remove(path: string, options: FileCallOptions = {}): Promise<void> {
    optionsObject(options, ["user", "signal"]);
    await this.#machine.files.remove(guestPath("path", path), callOptions(options));
  }

  /** Calls `onEvent` for what happens in a directory, one event after the other. Throws `not-found`; `invalid` for a file. */
  async watchDir(
    path: string,
    onEvent: (event: WatchEvent) => unknown,
    options: WatchDirOptions = {},
  ): Promise<WatchHandle> {
    optionsObject(options, ["recursive", "timeoutMs", "onExit", "user", "signal"]);
    if (callback("onEvent", onEvent) === undefined) throw invalid("onEvent", "is missing");
    const timeoutMs = timeoutOption("timeoutMs", options.timeoutMs, standardWatchMs);
    const onExit = callback("onExit", options.onExit);
    const recursive = flag("recursive", options.recursive, false);
    const watch = await this.#machine.files.watch(guestPath("path", path), {
      ...callOptions(options),
      recursive,
    });
    return new WatchHandle(watch, onEvent, { timeoutMs, onExit });
  }
}

const readers = {
  text: async (content: FileContent): Promise<string> =>
    new TextDecoder("utf-8", { ignoreBOM: true }).decode(await content.bytes()),
  bytes: (content: FileContent): Promise<Uint8Array> => content.bytes(),
  blob: async (content: FileContent): Promise<Blob> =>
    new Blob([Uint8Array.from(await content.bytes())]),
  stream: (content: FileContent): ReadableStream<Uint8Array> => content.stream(),
};

function isFormat(format: string): format is keyof typeof readers {
  return Object.hasOwn(readers, format);
}

function callOptions(options: FileCallOptions): FileOptions {
  const user = optionalText("user", options.user);
  const signal = signalOption(options.signal);
  return { ...(user === undefined ? {} : { user }), ...(signal === undefined ? {} : { signal }) };
}

function parseWriteOptions(
  options: FileWriteOptions = {},
): FileOptions & { metadata?: Readonly<Record<string, string>> } {
  optionsObject(options, ["user", "signal", "metadata"]);
  if (options.metadata === undefined) return callOptions(options);
  return {
    ...callOptions(options),
    metadata: textMap("metadata", options.metadata, maxMetadataCharacters),
  };
}

function writeOptionsOf(value: FileData | FileWriteOptions | undefined): FileWriteOptions {
  if (value === undefined) return {};
  if (isObject(value)) return value;
  throw invalid("options", "expected an object");
}

async function dataOf(
  field: string,
  data: unknown,
): Promise<Uint8Array | ReadableStream<Uint8Array>> {
  if (typeof data === "string") return new TextEncoder().encode(data);
  if (data instanceof Uint8Array) return data;
  if (data instanceof ArrayBuffer) return new Uint8Array(data);
  if (data instanceof Blob) return new Uint8Array(await data.arrayBuffer());
  if (data instanceof ReadableStream) return data;
  throw invalid(field, "expected text, bytes, a blob or a stream");
}

async function bytesOfStream(stream: ReadableStream<Uint8Array>): Promise<Uint8Array> {
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

function fileInfo(entry: EntryInfo): FileInfo {
  return {
    name: entry.name,
    path: entry.path,
    type: entry.type === "directory" ? "dir" : "file",
    size: entry.sizeBytes,
    mode: entry.mode,
    permissions: entry.permissions,
    owner: entry.owner,
    group: entry.group,
    modifiedTime: entry.modifiedAt,
    ...(entry.symlinkTarget === undefined ? {} : { symlinkTarget: entry.symlinkTarget }),
    ...(Object.keys(entry.metadata).length === 0 ? {} : { metadata: entry.metadata }),
  };
}
