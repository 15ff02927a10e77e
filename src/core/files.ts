export type FileType = "file" | "directory";

/** What a path is. The type follows symlinks; `symlinkTarget` says that it was one. */
export interface EntryInfo {
  readonly name: string;
  readonly path: string;
  readonly type: FileType;
  readonly sizeBytes: number;
  /** Permission bits only: 0o644. */
  readonly mode: number;
  /** As `ls -l` prints them: `-rw-r--r--`. */
  readonly permissions: string;
  readonly owner: string;
  readonly group: string;
  readonly modifiedAt: Date;
  readonly symlinkTarget: string | undefined;
  readonly metadata: Readonly<Record<string, string>>;
}

export interface FileOptions {
  /** Whose rights and home count. `undefined`: the template's default user. */
  readonly user?: string;
  readonly signal?: AbortSignal;
}

export interface ReadOptions extends FileOptions {
  /** First byte wanted; default 0. */
  readonly offset?: number;
  /** How many bytes at the most; default: to the end. */
  readonly length?: number;
}

export interface WriteOptions extends FileOptions {
  /** Kept with the file as extended attributes; replaced at each write. */
  readonly metadata?: Readonly<Record<string, string>>;
}

/** A file being read. Take it once: `bytes()` or `stream()`. */
export interface FileContent {
  /** Bytes that will come. */
  readonly sizeBytes: number;
  bytes(): Promise<Uint8Array>;
  stream(): ReadableStream<Uint8Array>;
}

export interface WriteInfo {
  readonly name: string;
  readonly path: string;
  readonly type: "file";
}

export interface WatchEvent {
  readonly type: "create" | "write" | "remove" | "rename" | "chmod";
  /** Relative to the watched directory. */
  readonly name: string;
}

export interface WatchOptions extends FileOptions {
  readonly recursive?: boolean;
}

/** Files of a machine. Relative paths start at the user's home; `~` is the home. The host never follows a guest's link. */
export interface Files {
  read(path: string, options?: ReadOptions): Promise<FileContent>;
  /** Creates parents; replaces what was there. */
  write(
    path: string,
    data: Uint8Array | ReadableStream<Uint8Array>,
    options?: WriteOptions,
  ): Promise<WriteInfo>;
  /** Many files in one call. */
  writeMany(
    files: readonly { readonly path: string; readonly data: Uint8Array }[],
    options?: WriteOptions,
  ): Promise<readonly WriteInfo[]>;
  list(
    path: string,
    options?: FileOptions & { readonly depth?: number },
  ): Promise<readonly EntryInfo[]>;
  stat(path: string, options?: FileOptions): Promise<EntryInfo>;
  /** Creates parents. `false`: it was there. */
  makeDir(path: string, options?: FileOptions): Promise<boolean>;
  move(source: string, destination: string, options?: FileOptions): Promise<EntryInfo>;
  /** With all below it; what is missing is no error. */
  remove(path: string, options?: FileOptions): Promise<void>;
  /** Events until the signal aborts or the loop is left. */
  watch(path: string, options?: WatchOptions): Promise<Watch>;
}

export interface Watch extends AsyncDisposable {
  readonly events: AsyncIterable<WatchEvent>;
}
