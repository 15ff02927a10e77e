/** A command as a driver takes it. */
export interface Command {
  /** Program and arguments; no shell unless it is named here. */
  readonly argv: readonly [string, ...string[]];
  readonly cwd?: string;
  readonly envs?: Readonly<Record<string, string>>;
  /** `undefined`: the template's default user, which is unprivileged. */
  readonly user?: string;
  /** Whether input will be sent. Default `false`: the process reads end-of-file at once. */
  readonly stdin?: boolean;
  /** Ends the whole process tree this long after the start. Milliseconds; 0 or absent: never. */
  readonly timeoutMs?: number;
  /** Gives the process a terminal of this size; output then arrives as `pty`. */
  readonly pty?: TerminalSize;
  /** A name to find it again by. */
  readonly tag?: string;
}

export interface TerminalSize {
  readonly cols: number;
  readonly rows: number;
}

export interface ProcessInfo {
  readonly pid: number;
  readonly argv: readonly string[];
  readonly cwd: string;
  readonly envs: Readonly<Record<string, string>>;
  readonly tag: string | undefined;
}

/** Why a process is over. The exit code is its own; for a signal it is 128 plus the signal's number, as in a shell. */
export interface ProcessEnd {
  readonly exitCode: number;
  readonly reason:
    | "exited"
    | "signalled"
    | "timed-out"
    | "out-of-memory"
    | "killed"
    | "machine-ended";
  /** `SIGKILL`, `SIGSEGV`, …; `undefined` when it exited by itself. */
  readonly signal: string | undefined;
  /** What the agent had to say beside, for example that the program could not be executed. */
  readonly message: string | undefined;
}

export type ProcessOutput = {
  readonly stream: "stdout" | "stderr" | "pty";
  readonly bytes: Uint8Array;
};

/** A running process. */
export interface Process {
  readonly pid: number;
  /** What it prints, in order. One reader; a slow reader slows the process; leaving the loop does not kill it. */
  readonly output: AsyncIterable<ProcessOutput>;
  /** Resolves when the process is over and its output has been delivered or dropped. */
  readonly end: Promise<ProcessEnd>;
  write(data: Uint8Array): Promise<void>;
  closeStdin(): Promise<void>;
  resize(size: TerminalSize): Promise<void>;
  /** `SIGKILL` ends the whole tree and resolves when it is gone; others go to the process group. `false`: it was gone. */
  kill(signal?: "SIGKILL" | "SIGTERM" | "SIGINT"): Promise<boolean>;
  /** Stops listening; the process lives on. */
  detach(): void;
}
