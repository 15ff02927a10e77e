import type { CodeError, CodeResult } from "./code.ts";

/** One piece of what a run printed. */
export class OutputMessage {
  /** The text; it may be a part of a line, or several. */
  readonly line: string;
  /** Nanoseconds since 1970, as E2B counts them; precise to a millisecond. */
  readonly timestamp: number;
  /** Whether it came on stderr. */
  readonly error: boolean;

  constructor(line: string, timestamp: number, error: boolean) {
    this.line = line;
    this.timestamp = timestamp;
    this.error = error;
  }

  toString(): string {
    return this.line;
  }
}

/** What the code threw. */
export class ExecutionError implements CodeError {
  readonly name: string;
  readonly value: string;
  readonly traceback: string;

  constructor({ name, value, traceback }: CodeError) {
    this.name = name;
    this.value = value;
    this.traceback = traceback;
  }
}

/** One thing that a run showed, in every form that the kernel could give; a form that is missing is a missing key. */
export class Result implements CodeResult {
  /** Whether it is the value of the last expression, not something displayed on the way. */
  readonly isMainResult: boolean;
  declare readonly text?: string;
  declare readonly html?: string;
  declare readonly markdown?: string;
  declare readonly svg?: string;
  declare readonly png?: string;
  declare readonly jpeg?: string;
  declare readonly pdf?: string;
  declare readonly latex?: string;
  declare readonly json?: unknown;
  declare readonly javascript?: string;
  declare readonly data?: Readonly<Record<string, readonly unknown[]>>;
  declare readonly chart?: unknown;
  declare readonly extra?: Readonly<Record<string, unknown>>;

  constructor(forms: CodeResult) {
    this.isMainResult = forms.isMainResult;
    Object.assign(this, forms);
  }

  /** Names of the forms that it has: `text`, `html`, `png`, …, and the MIME types of `extra`. */
  formats(): readonly string[] {
    const { isMainResult: _, extra, ...forms } = this;
    return [...Object.keys(forms), ...Object.keys(extra ?? {})];
  }
}

/** What a run printed, in pieces. */
export interface Logs {
  readonly stdout: readonly string[];
  readonly stderr: readonly string[];
}

interface ExecutionFields {
  readonly results: readonly Result[];
  readonly logs: Logs;
  readonly error: ExecutionError | undefined;
  readonly executionCount: number | undefined;
  readonly truncated: boolean;
}

/** All that a run showed, printed and threw. */
export class Execution {
  /** Displays, and the value of the last expression. */
  readonly results: readonly Result[];
  readonly logs: Logs;
  /** What the code threw; `undefined` when it came to its end. */
  readonly error: ExecutionError | undefined;
  /** How many runs this context has seen. */
  readonly executionCount: number | undefined;
  /** Whether something was left out because there was more than is kept. */
  readonly truncated: boolean;

  constructor(fields: ExecutionFields) {
    this.results = fields.results;
    this.logs = fields.logs;
    this.error = fields.error;
    this.executionCount = fields.executionCount;
    this.truncated = fields.truncated;
  }

  /** The value of the last expression as text. */
  get text(): string | undefined {
    return this.results.find((result) => result.isMainResult)?.text;
  }

  toJSON(): Pick<Execution, "results" | "logs" | "error"> {
    return { results: this.results, logs: this.logs, error: this.error };
  }
}
