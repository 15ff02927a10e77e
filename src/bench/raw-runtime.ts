/** How a runtime is called without us. All that is special about one is data here, told by whoever knows it. */
export interface RawRuntime {
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

/** The command line of one call. */
export function callOf(
  runtime: RawRuntime,
  stateDir: string,
  words: readonly string[],
): readonly [string, ...string[]] {
  return [...runtime.command, runtime.stateOption, stateDir, ...words];
}
