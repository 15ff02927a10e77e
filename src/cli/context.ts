import type { Command } from "commander";
import { type Host, assemble } from "./assemble.ts";
import type { Interruption } from "./interruption.ts";
import type { GlobalOptions } from "./options.ts";
import type { Terminal } from "./terminal.ts";

/** What every command works with. */
export interface Context {
  readonly terminal: Terminal;
  readonly interruption: Interruption;
  /** What stands behind `--`; `undefined` without one. */
  readonly afterDashes: readonly string[] | undefined;
  /** Says with what code the process will exit; 0 unless told. */
  exitWith(code: number): void;
}

/** The host as the global options of a command say. */
export function hostOf(command: Command): Host {
  const { stateDir, allowKnownEscapes } = globalOptions(command);
  return assemble(stateDir, allowKnownEscapes);
}

export function globalOptions(command: Command): GlobalOptions {
  return command.optsWithGlobals();
}
