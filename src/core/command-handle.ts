import type { Process, ProcessEnd, TerminalSize } from "./process.ts";
import { SandboxError } from "./errors.ts";
import { type TextListener, type TextSink, settled, textSink } from "./output.ts";
import { CommandError, type CommandResult, outcomeOf } from "./command-result.ts";
import { cancelled } from "./validate.ts";

/** Who listens to a command. What a listener returns is awaited: a slow listener slows the program. */
export interface CommandListeners {
  readonly onStdout?: TextListener | undefined;
  readonly onStderr?: TextListener | undefined;
  readonly onPty?: ((bytes: Uint8Array) => unknown) | undefined;
}

export interface HandleOptions extends CommandListeners {
  readonly maxOutputBytes: number;
  readonly signal?: AbortSignal | undefined;
}

/** A command that runs in the background, or a terminal. */
export class CommandHandle {
  /** Process id inside the sandbox. */
  readonly pid: number;
  readonly #process: Process;
  readonly #stdout: TextSink;
  readonly #stderr: TextSink;
  readonly #outcome: Promise<CommandResult | CommandError>;
  #ended: CommandResult | CommandError | undefined;
  #left = false;

  constructor(process: Process, options: HandleOptions) {
    this.pid = process.pid;
    this.#process = process;
    this.#stdout = textSink(options.maxOutputBytes, options.onStdout);
    this.#stderr = textSink(options.maxOutputBytes, options.onStderr);
    this.#outcome = this.#run(options);
    this.#outcome.catch(() => undefined);
  }

  /** What it printed on stdout so far, up to `maxOutputBytes`. */
  get stdout(): string {
    return this.#stdout.text;
  }

  /** What it printed on stderr so far, up to `maxOutputBytes`. */
  get stderr(): string {
    return this.#stderr.text;
  }

  /** `undefined` while it runs. */
  get exitCode(): number | undefined {
    return this.#ended?.exitCode;
  }

  /** What the system had to say about a bad end; `undefined` while it runs and after a success. */
  get error(): string | undefined {
    return this.#ended?.error;
  }

  /**
   * Waits for the end.
   *
   * Throws CommandExitError (`exited`) for an exit code other than 0, CommandError with `timed-out`, `out-of-memory`,
   * `cancelled` or `lost` for a command that did not end by itself, and what a listener threw.
   */
  async wait(): Promise<CommandResult> {
    const outcome = await this.#outcome;
    if (outcome instanceof CommandError) throw outcome;
    return outcome;
  }

  /** Kills the whole process tree and resolves when it is gone. `false`: it was over already. */
  kill(): Promise<boolean> {
    return this.#process.kill("SIGKILL");
  }

  /** Stops listening; the command lives on, and `wait` throws `cancelled`. */
  disconnect(): Promise<void> {
    this.#left = true;
    this.#process.detach();
    return Promise.resolve();
  }

  /** Sends input to a command that was started with `stdin: true`, or to a terminal. */
  sendStdin(data: string | Uint8Array): Promise<void> {
    return this.#process.write(bytesOf(data));
  }

  /** Ends the input: the program reads end-of-file. */
  closeStdin(): Promise<void> {
    return this.#process.closeStdin();
  }

  /** Gives the terminal a new size. */
  resize(size: TerminalSize): Promise<void> {
    return this.#process.resize(size);
  }

  async #run(options: HandleOptions): Promise<CommandResult | CommandError> {
    try {
      await this.#listen(options.onPty);
    } catch (cause) {
      await this.#process.kill("SIGKILL");
      throw cause;
    }
    const end = await this.#endOf();
    await this.#stdout.flush();
    await this.#stderr.flush();
    const printed = {
      stdout: this.stdout,
      stderr: this.stderr,
      truncated: this.#stdout.truncated || this.#stderr.truncated,
    };
    const outcome = outcomeOf(end, printed);
    const aborted =
      options.signal?.aborted === true && end.reason === "killed" ? options.signal : undefined;
    this.#ended =
      aborted === undefined
        ? outcome
        : new CommandError("cancelled", cancelled(aborted).message, {
            exitCode: end.exitCode,
            ...printed,
          });
    return this.#ended;
  }

  async #listen(onPty: CommandListeners["onPty"]): Promise<void> {
    for await (const { stream, bytes } of this.#process.output) {
      if (this.#left) return;
      const taken =
        stream === "stdout"
          ? this.#stdout.take(bytes)
          : stream === "stderr"
            ? this.#stderr.take(bytes)
            : settled(onPty?.(bytes));
      if (taken !== undefined) await taken;
    }
  }

  async #endOf(): Promise<ProcessEnd> {
    if (this.#left) throw disconnected();
    const end = await this.#process.end;
    if (this.#left) throw disconnected();
    return end;
  }
}

function disconnected(): SandboxError {
  return new SandboxError(
    "cancelled",
    "nobody listens to this command any more; connect to its pid",
  );
}

/** Text as UTF-8; bytes as they are. */
export function bytesOf(data: string | Uint8Array): Uint8Array {
  return typeof data === "string" ? new TextEncoder().encode(data) : data;
}
