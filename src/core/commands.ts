import type { Machine } from "./driver.ts";
import type { Command, Process } from "./process.ts";
import { SandboxError } from "./errors.ts";
import type { TextListener } from "./output.ts";
import { CommandHandle, bytesOf } from "./command-handle.ts";
import type { CommandResult } from "./command-result.ts";
import {
  callback,
  environment,
  flag,
  guestPath,
  invalid,
  numberIn,
  optionalText,
  optionsObject,
  signalOption,
  text,
  timeoutOption,
} from "./validate.ts";

/** A line for the user's login shell, or a program and its arguments without any shell. */
export type CommandLine = string | readonly [string, ...string[]];

/** Options of `commands.run`. */
export interface CommandOptions {
  /** `true`: returns a handle at once. Default `false`: waits for the end. */
  readonly background?: boolean;
  /** Working directory. Default: the user's home. */
  readonly cwd?: string;
  /** Default: the template's user, who is unprivileged. */
  readonly user?: string;
  /** Environment of this command, over the sandbox's. */
  readonly envs?: Readonly<Record<string, string>>;
  /** Called with decoded text. What it returns is awaited: a slow listener slows the program. */
  readonly onStdout?: TextListener;
  readonly onStderr?: TextListener;
  /** `true`: input can be sent with `sendStdin`. Default `false`: the program reads end-of-file at once. */
  readonly stdin?: boolean;
  /** Kills the whole process tree after this long. Milliseconds; 0: never; default 60,000. */
  readonly timeoutMs?: number;
  /** Kills the whole process tree when it aborts. */
  readonly signal?: AbortSignal;
  /** Bytes of stdout, and of stderr, that the result keeps; listeners get all. Default 16 MiB. */
  readonly maxOutputBytes?: number;
}

/** Options of `commands.connect`. */
export type CommandConnectOptions = Pick<
  CommandOptions,
  "onStdout" | "onStderr" | "signal" | "maxOutputBytes"
>;

/** A command or terminal that runs. */
export interface CommandInfo {
  readonly pid: number;
  /** The program. */
  readonly cmd: string;
  readonly args: readonly string[];
  readonly envs: Readonly<Record<string, string>>;
  readonly cwd: string;
  readonly tag?: string;
}

const optionNames = [
  "background",
  "cwd",
  "user",
  "envs",
  "onStdout",
  "onStderr",
  "stdin",
  "timeoutMs",
  "signal",
  "maxOutputBytes",
];
const connectNames = ["onStdout", "onStderr", "signal", "maxOutputBytes"];
const hints = {
  requestTimeoutMs: "use timeoutMs, or pass signal: AbortSignal.timeout(…)",
  env: "use envs",
  timeout: "use timeoutMs",
};
const standardTimeoutMs = 60_000;
const standardMaxOutputBytes = 16 * 1024 * 1024;

/** Commands of a sandbox. */
export class Commands {
  readonly #machine: Machine;
  readonly #running: Map<number, Process> = new Map();

  constructor(machine: Machine) {
    this.#machine = machine;
  }

  /**
   * Runs a command.
   *
   * Text goes to `/bin/bash -l -c`; a list is a program and its arguments, started without a shell. Throws
   * CommandExitError (`exited`) for an exit code other than 0, CommandError with `timed-out`, `out-of-memory`,
   * `cancelled` or `lost`, `invalid` for a bad option, `not-found` for a program that does not exist.
   */
  run(
    command: CommandLine,
    options?: CommandOptions & { readonly background?: false },
  ): Promise<CommandResult>;
  run(
    command: CommandLine,
    options: CommandOptions & { readonly background: true },
  ): Promise<CommandHandle>;
  run(command: CommandLine, options?: CommandOptions): Promise<CommandHandle | CommandResult>;
  async run(
    command: CommandLine,
    options: CommandOptions = {},
  ): Promise<CommandHandle | CommandResult> {
    optionsObject(options, optionNames, { hints });
    const signal = signalOption(options.signal);
    const spec = commandOf(command, options);
    const process = await this.#machine.spawn(spec, signal);
    const handle = this.#listen(process, options);
    return flag("background", options.background, false) ? handle : handle.wait();
  }

  /** Commands and terminals that run. */
  async list(): Promise<readonly CommandInfo[]> {
    const running = await this.#machine.processes();
    return running.map(({ pid, argv, cwd, envs, tag }) => ({
      pid,
      cmd: argv[0] ?? "",
      args: argv.slice(1),
      envs,
      cwd,
      ...(tag === undefined ? {} : { tag }),
    }));
  }

  /** Joins a running command: its output from now on. Throws `not-found`. */
  async connect(pid: number, options: CommandConnectOptions = {}): Promise<CommandHandle> {
    optionsObject(options, connectNames, { hints });
    return this.#listen(await this.#machine.attach(pidOf(pid)), options);
  }

  /** Kills the whole tree of a command and resolves when it is gone. `false`: there is no such command. */
  async kill(pid: number): Promise<boolean> {
    try {
      return await this.#with(pid, (process) => process.kill("SIGKILL"));
    } catch (cause) {
      if (cause instanceof SandboxError && cause.code === "not-found") return false;
      throw cause;
    }
  }

  /** Sends input to a command that was started with `stdin: true`. Throws `not-found`. */
  sendStdin(pid: number, data: string | Uint8Array): Promise<void> {
    return this.#with(pid, (process) => process.write(bytesOf(data)));
  }

  /** Ends a command's input: it reads end-of-file. Throws `not-found`. */
  closeStdin(pid: number): Promise<void> {
    return this.#with(pid, (process) => process.closeStdin());
  }

  #listen(process: Process, options: CommandConnectOptions): CommandHandle {
    this.#remember(process);
    return new CommandHandle(process, {
      onStdout: callback("onStdout", options.onStdout),
      onStderr: callback("onStderr", options.onStderr),
      signal: signalOption(options.signal),
      maxOutputBytes: maxOutputBytesOf(options.maxOutputBytes),
    });
  }

  #remember(process: Process): void {
    this.#running.set(process.pid, process);
    const forget = (): void => {
      if (this.#running.get(process.pid) === process) this.#running.delete(process.pid);
    };
    process.end.then(forget, forget);
  }

  async #with<T>(pid: number, act: (process: Process) => Promise<T>): Promise<T> {
    const known = this.#running.get(pidOf(pid));
    if (known !== undefined) return act(known);
    const joined = await this.#machine.attach(pid);
    try {
      return await act(joined);
    } finally {
      joined.detach();
    }
  }
}

/** Bytes that a result keeps of each stream. */
export function maxOutputBytesOf(value: unknown): number {
  return (
    numberIn("maxOutputBytes", value, { min: 0, max: 512 * 1024 * 1024, unit: "bytes" }) ??
    standardMaxOutputBytes
  );
}

/** A process id as a caller gave it. Throws `invalid`. */
export function pidOf(value: unknown): number {
  const pid = numberIn("pid", value, { min: 1, max: 4_194_304, unit: "process id" });
  if (pid === undefined) throw invalid("pid", "is missing");
  return pid;
}

function commandOf(line: unknown, options: CommandOptions): Command {
  const cwd = options.cwd === undefined ? undefined : guestPath("cwd", options.cwd);
  const user = optionalText("user", options.user);
  return {
    argv: argvOf(line),
    stdin: flag("stdin", options.stdin, false),
    timeoutMs: timeoutOption("timeoutMs", options.timeoutMs, standardTimeoutMs),
    envs: environment("envs", options.envs),
    ...(cwd === undefined ? {} : { cwd }),
    ...(user === undefined ? {} : { user }),
  };
}

function argvOf(line: unknown): readonly [string, ...string[]] {
  if (!Array.isArray(line)) return ["/bin/bash", "-l", "-c", text("command", line)];
  const [program, ...rest] = line.map((word: unknown, index) => text(`command[${index}]`, word));
  if (program === undefined || program === "")
    throw invalid("command", "a list must begin with a program");
  return [program, ...rest];
}
