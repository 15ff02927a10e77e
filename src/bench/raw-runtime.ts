/** What stands below a driver, called without us: a program, or a service that has programs of its own. */
export type RawRuntime = RawProgram | RawService;

/** How a runtime is called. All that is special about one is data here, told by whoever knows it. */
export interface RawProgram {
  /** As tables show it. */
  readonly name: string;
  readonly version: string;
  /** The program with the options that every call has, the state directory's among them. */
  readonly command: readonly [string, ...string[]];
  /** The option of `command` that is followed by a directory for the runtime's state. */
  readonly stateOption: string;
  /** The unpacked root file system of a template, which is mounted read-only. Throws `not-found`. */
  rootOf(template: string): Promise<string>;
}

/** A container of the raw runtime that stays. */
export interface RawContainer extends AsyncDisposable {
  readonly id: string;
  /** Runs a program in it and waits for its end. Milliseconds. */
  exec(argv: readonly string[]): Promise<number>;
  /** Sends a line to its first program and waits for the next output. Milliseconds. */
  ask(line: string): Promise<number>;
  /** Kills all in it and waits until no process of it is left on the host. Milliseconds. */
  end(): Promise<number>;
}

/** A service that makes containers of templates that it has been given. */
export interface RawService {
  /** As tables show it. */
  readonly name: string;
  readonly version: string;
  /** Starts a container for one command and waits for its end. Milliseconds to the first byte. Throws `not-found`. */
  run(template: string, argv: readonly string[]): Promise<number>;
  /** A container whose first program says something when it is ready, and stays. Throws `not-found`. */
  container(template: string, argv: readonly string[]): Promise<RawContainer>;
}

/** The command line of one call. */
export function callOf(
  runtime: RawProgram,
  stateDir: string,
  words: readonly string[],
): readonly [string, ...string[]] {
  return [...runtime.command, runtime.stateOption, stateDir, ...words];
}
