import type { Machine } from "./driver.ts";
import type { Process, TerminalSize } from "./process.ts";
import { SandboxError } from "./errors.ts";
import { CommandHandle, bytesOf } from "./command-handle.ts";
import { pidOf } from "./commands.ts";
import {
  callback,
  environment,
  guestPath,
  invalid,
  numberIn,
  optionalText,
  optionsObject,
  signalOption,
  timeoutOption,
} from "./validate.ts";

/** Options of `pty.create`. */
export interface PtyOptions extends TerminalSize {
  /** Called with the terminal's raw bytes. What it returns is awaited. */
  readonly onData: (bytes: Uint8Array) => unknown;
  /** Kills the terminal and all that runs in it after this long. Milliseconds; 0: never; default 60,000. */
  readonly timeoutMs?: number;
  readonly user?: string;
  readonly envs?: Readonly<Record<string, string>>;
  /** Default: the user's home. */
  readonly cwd?: string;
  readonly signal?: AbortSignal;
}

/** Options of `pty.connect`. */
export type PtyConnectOptions = Pick<PtyOptions, "onData" | "signal">;

const standardTimeoutMs = 60_000;
const terminalEnvironment = { TERM: "xterm-256color", LANG: "C.UTF-8", LC_ALL: "C.UTF-8" };

/** Terminals of a sandbox, each with a login Bash. */
export class Pty {
  readonly #machine: Machine;
  readonly #open: Map<number, Process> = new Map();

  constructor(machine: Machine) {
    this.#machine = machine;
  }

  /** Opens a terminal with an interactive login Bash. Throws `invalid`. */
  async create(options: PtyOptions): Promise<CommandHandle> {
    optionsObject(options, [
      "cols",
      "rows",
      "onData",
      "timeoutMs",
      "user",
      "envs",
      "cwd",
      "signal",
    ]);
    const onData = listenerOf(options);
    const signal = signalOption(options.signal);
    const user = optionalText("user", options.user);
    const process = await this.#machine.spawn(
      {
        argv: ["/bin/bash", "-i", "-l"],
        pty: sizeOf(options),
        stdin: true,
        timeoutMs: timeoutOption("timeoutMs", options.timeoutMs, standardTimeoutMs),
        envs: { ...terminalEnvironment, ...environment("envs", options.envs) },
        ...(options.cwd === undefined ? {} : { cwd: guestPath("cwd", options.cwd) }),
        ...(user === undefined ? {} : { user }),
      },
      signal,
    );
    return this.#listen(process, onData, signal);
  }

  /** Joins an open terminal: its output from now on. Throws `not-found`. */
  async connect(pid: number, options: PtyConnectOptions): Promise<CommandHandle> {
    optionsObject(options, ["onData", "signal"]);
    const onData = listenerOf(options);
    return this.#listen(
      await this.#machine.attach(pidOf(pid)),
      onData,
      signalOption(options.signal),
    );
  }

  /** Types into a terminal. Throws `not-found`. */
  sendInput(pid: number, data: string | Uint8Array): Promise<void> {
    return this.#with(pid, (process) => process.write(bytesOf(data)));
  }

  /** Gives a terminal a new size. Throws `not-found`. */
  resize(pid: number, size: TerminalSize): Promise<void> {
    return this.#with(pid, (process) => process.resize(sizeOf(size)));
  }

  /** Kills a terminal and all that runs in it. `false`: there is no such terminal. */
  async kill(pid: number): Promise<boolean> {
    try {
      return await this.#with(pid, (process) => process.kill("SIGKILL"));
    } catch (cause) {
      if (cause instanceof SandboxError && cause.code === "not-found") return false;
      throw cause;
    }
  }

  #listen(
    process: Process,
    onPty: PtyOptions["onData"],
    signal: AbortSignal | undefined,
  ): CommandHandle {
    this.#open.set(process.pid, process);
    const forget = (): void => {
      if (this.#open.get(process.pid) === process) this.#open.delete(process.pid);
    };
    process.end.then(forget, forget);
    return new CommandHandle(process, { onPty, signal, maxOutputBytes: 0 });
  }

  async #with<T>(pid: number, act: (process: Process) => Promise<T>): Promise<T> {
    const known = this.#open.get(pidOf(pid));
    if (known !== undefined) return act(known);
    const joined = await this.#machine.attach(pid);
    try {
      return await act(joined);
    } finally {
      joined.detach();
    }
  }
}

function listenerOf(options: PtyConnectOptions): PtyOptions["onData"] {
  const onData = callback("onData", options.onData);
  if (onData === undefined) throw invalid("onData", "is missing");
  return onData;
}

function sizeOf(size: TerminalSize): TerminalSize {
  const cells = (field: "cols" | "rows"): number => {
    const count = numberIn(field, size[field], { min: 1, max: 65_535, unit: "cells" });
    if (count === undefined) throw invalid(field, "is missing");
    return count;
  };
  return { cols: cells("cols"), rows: cells("rows") };
}
