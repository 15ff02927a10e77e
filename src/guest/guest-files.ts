import type { ClientRequest, IncomingMessage } from "node:http";
import type {
  EntryInfo,
  FileContent,
  FileOptions,
  Files,
  ReadOptions,
  Watch,
  WatchOptions,
  WriteInfo,
  WriteOptions,
} from "../core/files.ts";
import { SandboxError } from "../core/errors.ts";
import { parseEntriesAnswer, parseEntryAnswer, parseWritten } from "../wire/entries.ts";
import { malformed, parseJson } from "../wire/json.ts";
import type { Download, Downloads } from "./downloads.ts";
import { fileContent } from "./file-content.ts";
import { multipart } from "./multipart.ts";
import { type Transport, readAnswer } from "./transport.ts";
import { watchDirectory } from "./watch.ts";

/** How the agent is reached. */
interface Ways {
  readonly transport: Transport;
  readonly downloads: Downloads;
}

/** Files of a machine, through its agent. */
export function guestFiles(ways: Ways): Files {
  const { transport } = ways;
  const call = caller(transport);
  return {
    read: (path, options) => read(ways, path, options),
    write: (path, data, options) => write(transport, { path, data }, options),
    writeMany: (files, options) => writeMany(transport, files, options),
    async list(path, options = {}): Promise<readonly EntryInfo[]> {
      const answer = await call("ListDir", { path, depth: options.depth ?? 1 }, options);
      return parseEntriesAnswer(answer);
    },
    stat: async (path, options = {}) => parseEntryAnswer(await call("Stat", { path }, options)),
    makeDir: (path, options = {}) => makeDir(call, path, options),
    async move(source, destination, options = {}): Promise<EntryInfo> {
      return parseEntryAnswer(await call("Move", { source, destination }, options));
    },
    async remove(path, options = {}): Promise<void> {
      await call("Remove", { path }, options);
    },
    watch: (path: string, options: WatchOptions = {}): Promise<Watch> =>
      named(watchDirectory(transport, path, options)),
  };
}

type Call = (method: string, message: unknown, options: FileOptions) => Promise<unknown>;

function caller(transport: Transport): Call {
  return (method, message, { user, signal }) =>
    named(transport.call(`/filesystem.Filesystem/${method}`, message, { user, signal }));
}

async function makeDir(call: Call, path: string, options: FileOptions): Promise<boolean> {
  try {
    await call("MakeDir", { path }, options);
    return true;
  } catch (cause) {
    if (cause instanceof SandboxError && cause.code === "already-exists") return false;
    throw cause;
  }
}

async function read(ways: Ways, path: string, options: ReadOptions = {}): Promise<FileContent> {
  if (options.length === 0) return emptyContent();
  const range = rangeOf(options);
  const wanted = { path: `/files?${query(path, options.user)}`, range, signal: options.signal };
  const done = ways.transport.uses.begin();
  try {
    return (
      (await ways.downloads.get({ ...wanted, done })) ??
      (await readWithoutLength(ways.transport, { ...wanted, done }))
    );
  } catch (cause) {
    done();
    if (cause instanceof SandboxError && range !== undefined && /range/i.test(cause.message))
      return emptyContent();
    throw cause;
  }
}

/** The way for files whose length the agent does not tell, and for its refusals. */
async function readWithoutLength(
  transport: Transport,
  { path, range, signal, done }: Download,
): Promise<FileContent> {
  const headers = range === undefined ? {} : { range };
  const answer = await named(
    transport.ask({ method: "GET", path, headers, signal, lasting: true }),
  );
  return fileContent(answer, transport.lifeline, { signal, done });
}

function rangeOf({ offset = 0, length }: ReadOptions): string | undefined {
  if (offset === 0 && length === undefined) return undefined;
  return length === undefined ? `bytes=${offset}-` : `bytes=${offset}-${offset + length - 1}`;
}

function emptyContent(): FileContent {
  return {
    sizeBytes: 0,
    bytes: () => Promise.resolve(new Uint8Array(0)),
    stream: () => new ReadableStream({ start: (controller) => controller.close() }),
  };
}

interface Upload {
  readonly path: string;
  readonly data: Uint8Array | ReadableStream<Uint8Array>;
}

async function write(
  transport: Transport,
  { path, data }: Upload,
  options: WriteOptions = {},
): Promise<WriteInfo> {
  const headers: Record<string, string | number> = {
    "content-type": "application/octet-stream",
    ...metadataHeaders(options.metadata),
  };
  if (data instanceof Uint8Array) headers["content-length"] = data.length;
  const body = data instanceof Uint8Array ? data : pouring(data);
  const [written] = await upload(
    transport,
    { path: `/files?${query(path, options.user)}`, headers, body },
    options,
  );
  if (written === undefined) throw malformed("answer to a write");
  return written;
}

async function writeMany(
  transport: Transport,
  files: readonly { readonly path: string; readonly data: Uint8Array }[],
  options: WriteOptions = {},
): Promise<readonly WriteInfo[]> {
  if (files.length === 0) return [];
  const form = multipart(files);
  if (form === undefined) {
    const written: WriteInfo[] = [];
    for (const file of files) written.push(await write(transport, file, options));
    return written;
  }
  const headers = {
    "content-type": form.contentType,
    "content-length": form.sizeBytes,
    ...metadataHeaders(options.metadata),
  };
  const user =
    options.user === undefined
      ? ""
      : `?${new URLSearchParams({ username: options.user }).toString()}`;
  const written = await upload(
    transport,
    { path: `/files${user}`, headers, body: (request) => form.send(request) },
    options,
  );
  if (written.length !== files.length) throw malformed("answer to a write");
  return written;
}

interface UploadRequest {
  readonly path: string;
  readonly headers: Readonly<Record<string, string | number>>;
  readonly body: Uint8Array | ((request: ClientRequest) => void);
}

async function upload(
  transport: Transport,
  request: UploadRequest,
  options: WriteOptions,
): Promise<readonly WriteInfo[]> {
  const done = transport.uses.begin();
  try {
    const answer: IncomingMessage = await named(
      transport.ask({
        method: "POST",
        ...request,
        signal: options.signal,
        timeoutMs: 0,
        lasting: true,
      }),
    );
    return parseWritten(parseJson(await readAnswer(answer, transport.lifeline, options.signal)));
  } finally {
    done();
  }
}

/** Sends a stream, as fast as the machine takes it. A stream that fails ends the request, and nothing half is kept as whole. */
function pouring(stream: ReadableStream<Uint8Array>): (request: ClientRequest) => void {
  const pour = async (request: ClientRequest): Promise<void> => {
    for await (const chunk of stream) {
      if (request.destroyed) return;
      if (!request.write(chunk)) await drained(request);
    }
    request.end();
  };
  return (request) => {
    pour(request).catch((cause: unknown) =>
      request.destroy(SandboxError.from(cause, "the stream to write failed")),
    );
  };
}

function drained(request: ClientRequest): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      request.off("drain", done);
      request.off("close", done);
      resolve();
    };
    request.on("drain", done);
    request.on("close", done);
  });
}

function query(path: string, user: string | undefined): string {
  return new URLSearchParams(user === undefined ? { path } : { path, username: user }).toString();
}

function metadataHeaders(
  metadata: Readonly<Record<string, string>> | undefined,
): Readonly<Record<string, string>> {
  const headers = Object.entries(metadata ?? {}).map(([key, value]) => {
    if (!/^[\w.-]{1,200}$/.test(key) || !/^[\x20-\x7e]{0,4096}$/.test(value)) {
      throw new SandboxError(
        "invalid",
        `metadata.${key}: names are letters, digits, . _ -, values printable ASCII`,
        { field: "metadata" },
      );
    }
    return [`x-metadata-${key}`, value];
  });
  return Object.fromEntries(headers);
}

/** Names the option that was wrong, where the agent's answer tells. */
async function named<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (cause) {
    const error = SandboxError.from(cause);
    if (error.field !== undefined) throw error;
    const aboutUser = error.code === "unauthenticated" && /user/i.test(error.message);
    if (aboutUser)
      throw new SandboxError("invalid", error.message, { field: "user", cause: error });
    if (error.code === "not-found" || error.code === "invalid")
      throw new SandboxError(error.code, error.message, { field: "path", cause: error });
    if (error.code === "disk-full")
      throw new SandboxError("disk-full", error.message, {
        mend: "remove files, or give it more resources.diskMiB",
        cause: error,
      });
    throw error;
  }
}
