/** A language that a kernel of the agent speaks. */
export type Language = "python" | "javascript" | "typescript" | "bash";

export const languages: readonly Language[] = ["python", "javascript", "typescript", "bash"];

/** A place where state persists between runs. Contexts share files and nothing else. */
export interface CodeContext {
  readonly id: string;
  readonly language: Language;
  readonly cwd: string;
}

/** One thing that a run showed, in every form that the kernel could give. Absent forms are absent keys. */
export interface CodeResult {
  readonly text?: string;
  readonly html?: string;
  readonly markdown?: string;
  readonly svg?: string;
  /** base64 */
  readonly png?: string;
  /** base64 */
  readonly jpeg?: string;
  /** base64 */
  readonly pdf?: string;
  readonly latex?: string;
  readonly json?: unknown;
  readonly javascript?: string;
  /** A data frame, column by column. */
  readonly data?: Readonly<Record<string, readonly unknown[]>>;
  readonly chart?: unknown;
  /** Other MIME types, by name. */
  readonly extra?: Readonly<Record<string, unknown>>;
  /** Whether it is the value of the last expression, not something displayed on the way. */
  readonly isMainResult: boolean;
}

/** What the code threw. It is a result of the run, not an error of the library. */
export interface CodeError {
  readonly name: string;
  readonly value: string;
  readonly traceback: string;
}

export type CodeEvent =
  | { readonly type: "stdout" | "stderr"; readonly text: string; readonly timestamp: Date }
  | { readonly type: "result"; readonly result: CodeResult }
  | { readonly type: "error"; readonly error: CodeError }
  | { readonly type: "execution-count"; readonly count: number };

export interface RunRequest {
  readonly code: string;
  /** Takes precedence; exclusive with `language`. */
  readonly contextId?: string;
  /** The language's default context, made when it is first asked for. */
  readonly language?: Language;
  /** Environment of this run alone. */
  readonly envs?: Readonly<Record<string, string>>;
  /** Interrupts the run after this long; 0 or absent: never. Milliseconds. */
  readonly timeoutMs?: number;
}

/** Kernels of a machine. */
export interface CodeContexts {
  /** Runs code; ends with the run. Aborting interrupts it; the context stays usable. Throws `timed-out`, `not-found`, `lost`. */
  run(request: RunRequest, signal?: AbortSignal): AsyncIterable<CodeEvent>;
  create(options?: { readonly language?: Language; readonly cwd?: string }): Promise<CodeContext>;
  list(): Promise<readonly CodeContext[]>;
  /** A new kernel in the same context: state is gone, the id stays. */
  restart(id: string): Promise<void>;
  interrupt(id: string): Promise<void>;
  remove(id: string): Promise<void>;
}
