import {
  type CodeContext,
  type CodeContexts,
  type CodeEvent,
  type Language,
  type RunRequest,
  languages,
} from "./code.ts";
import { Execution, ExecutionError, OutputMessage, Result } from "./execution.ts";
import { settled } from "./output.ts";
import { maxOutputBytesOf } from "./commands.ts";
import {
  callback,
  environment,
  guestPath,
  invalid,
  isObject,
  nearest,
  optionsObject,
  signalOption,
  text,
  timeoutOption,
} from "./validate.ts";

/** A context, or its id. */
export type ContextReference = Pick<CodeContext, "id"> | string;

/** Options of `runCode`. `context` and `language` exclude each other. */
export interface RunCodeOptions {
  /** Default `python`. */
  readonly language?: Language;
  /** Default: the language's own context, made when it is first asked for. */
  readonly context?: ContextReference;
  /** Called with each piece of output. What a listener returns is awaited: a slow one slows the program. */
  readonly onStdout?: (output: OutputMessage) => unknown;
  readonly onStderr?: (output: OutputMessage) => unknown;
  readonly onResult?: (result: Result) => unknown;
  readonly onError?: (error: ExecutionError) => unknown;
  /** Environment of this run alone. */
  readonly envs?: Readonly<Record<string, string>>;
  /** Interrupts the run after this long; the context stays usable. Milliseconds; 0: never; default 60,000. */
  readonly timeoutMs?: number;
  /** Interrupts the run when it aborts. */
  readonly signal?: AbortSignal;
  /** Bytes of stdout, and of stderr, that the execution keeps; listeners get all. Default 16 MiB. */
  readonly maxOutputBytes?: number;
}

/** Options of `createCodeContext`. */
export interface CreateContextOptions {
  /** Default `python`. */
  readonly language?: Language;
  /** Default: the user's home. */
  readonly cwd?: string;
}

const optionNames = [
  "language",
  "context",
  "onStdout",
  "onStderr",
  "onResult",
  "onError",
  "envs",
  "timeoutMs",
  "signal",
  "maxOutputBytes",
];
const hints = { requestTimeoutMs: "use timeoutMs", contextId: "use context", env: "use envs" };
const standardTimeoutMs = 60_000;
const maxResultWeight = 256 * 1024 * 1024;

/** Runs code and gathers what it shows. */
export async function runCode(
  code: CodeContexts,
  source: string,
  options: RunCodeOptions = {},
): Promise<Execution> {
  optionsObject(options, optionNames, { hints });
  const signal = signalOption(options.signal);
  const gathered = gathering(options);
  for await (const event of code.run(requestOf(source, options), signal)) {
    const taken = gathered.take(event);
    if (taken !== undefined) await taken;
  }
  return gathered.execution();
}

/** Options of a new context, checked. */
export function contextOptions(options: CreateContextOptions = {}): CreateContextOptions {
  optionsObject(options, ["language", "cwd"]);
  return {
    ...(options.language === undefined ? {} : { language: languageOf(options.language) }),
    ...(options.cwd === undefined ? {} : { cwd: guestPath("cwd", options.cwd) }),
  };
}

/** The id in a reference. Throws `invalid`. */
export function contextId(context: unknown): string {
  const id = isObject(context) ? context["id"] : context;
  if (text("context", id) === "") throw invalid("context", "must not be empty");
  return text("context", id);
}

/** A language that kernels speak. Throws `invalid` with the list. */
export function languageOf(value: unknown): Language {
  const name = text("language", value);
  const language = languages.find((known) => known === name);
  if (language !== undefined) return language;
  const similar = nearest(name, languages);
  throw invalid(
    "language",
    `nobody speaks ${JSON.stringify(name.slice(0, 40))}; there are ${languages.join(", ")}`,
    similar && `did you mean ${similar}?`,
  );
}

function requestOf(source: string, options: RunCodeOptions): RunRequest {
  if (options.context !== undefined && options.language !== undefined) {
    throw invalid("context", "a context has a language already", "leave out language");
  }
  return {
    code: text("code", source),
    timeoutMs: timeoutOption("timeoutMs", options.timeoutMs, standardTimeoutMs),
    ...(options.context === undefined ? {} : { contextId: contextId(options.context) }),
    ...(options.language === undefined ? {} : { language: languageOf(options.language) }),
    ...(options.envs === undefined ? {} : { envs: environment("envs", options.envs) }),
  };
}

interface Gathering {
  /** Keeps an event and tells its listener; a promise when the listener takes its time. */
  take(event: CodeEvent): Promise<void> | undefined;
  execution(): Execution;
}

function gathering(options: RunCodeOptions): Gathering {
  const maxOutputBytes = maxOutputBytesOf(options.maxOutputBytes);
  const printed = { stdout: boundedPieces(maxOutputBytes), stderr: boundedPieces(maxOutputBytes) };
  const listeners = {
    stdout: callback("onStdout", options.onStdout),
    stderr: callback("onStderr", options.onStderr),
    result: callback("onResult", options.onResult),
    error: callback("onError", options.onError),
  };
  const results: Result[] = [];
  let resultWeight = 0;
  let truncated = false;
  let error: ExecutionError | undefined;
  let executionCount: number | undefined;
  const keepResult = (result: Result): void => {
    resultWeight += weightOf(result);
    if (resultWeight > maxResultWeight) truncated = true;
    else results.push(result);
  };
  /** Keeps an event and returns what its listener said. */
  const take = (event: CodeEvent): unknown => {
    if (event.type === "result") {
      const result = new Result(event.result);
      keepResult(result);
      return listeners.result?.(result);
    }
    if (event.type === "error") {
      error = new ExecutionError(event.error);
      return listeners.error?.(error);
    }
    if (event.type === "execution-count") {
      executionCount = event.count;
      return undefined;
    }
    printed[event.type].keep(event.text);
    return listeners[event.type]?.(
      new OutputMessage(event.text, event.timestamp.getTime() * 1e6, event.type === "stderr"),
    );
  };
  return {
    take: (event) => settled(take(event)),
    execution: () =>
      new Execution({
        results,
        logs: { stdout: printed.stdout.pieces, stderr: printed.stderr.pieces },
        error,
        executionCount,
        truncated: truncated || printed.stdout.truncated || printed.stderr.truncated,
      }),
  };
}

interface Pieces {
  readonly pieces: readonly string[];
  readonly truncated: boolean;
  keep(piece: string): void;
}

/** Pieces of text of at most `maxCharacters` together; many small ones are joined, so that their count is bounded too. */
function boundedPieces(maxCharacters: number): Pieces {
  const pieces: string[] = [];
  let room = maxCharacters;
  let truncated = false;
  return {
    pieces,
    get truncated() {
      return truncated;
    },
    keep(piece) {
      const kept = piece.slice(0, room);
      truncated ||= kept.length < piece.length;
      room -= kept.length;
      if (kept === "") return;
      if (pieces.length < maxPieces) pieces.push(kept);
      else pieces[maxPieces - 1] += kept;
    },
  };
}

const maxPieces = 65_536;

/** About how many bytes a value takes. */
function weightOf(value: unknown): number {
  if (typeof value === "string") return value.length + 32;
  if (typeof value !== "object" || value === null) return 16;
  return Object.entries(value).reduce(
    (sum, [key, entry]) => sum + key.length + 32 + weightOf(entry),
    64,
  );
}
