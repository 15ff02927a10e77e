import type { Command } from "../core/process.ts";
import { environment, guestPath, text, timeoutOption } from "../core/validate.ts";

/** Options of commands that start a process, as commander gathers them. */
export interface CommandFlags {
  readonly user?: string;
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly timeout?: number;
}

/** A command for a machine. Throws `invalid`. */
export function commandOf(argv: readonly [string, ...string[]], flags: CommandFlags): Command {
  const [program, ...rest] = argv;
  return {
    argv: [
      text("command", program),
      ...rest.map((word, index) => text(`command[${index + 1}]`, word)),
    ],
    timeoutMs: timeoutOption("timeoutMs", flags.timeout, 0),
    envs: environment("envs", flags.env),
    ...(flags.user === undefined ? {} : { user: text("user", flags.user) }),
    ...(flags.cwd === undefined ? {} : { cwd: guestPath("cwd", flags.cwd) }),
  };
}

/** What a program in a terminal must know of it. */
export function terminalEnvironment(): Readonly<Record<string, string>> {
  const { TERM: term = "", COLORTERM: colours = "" } = process.env;
  const word = /^[A-Za-z0-9.+-]{1,64}$/;
  return {
    TERM: word.test(term) ? term : "xterm-256color",
    LANG: "C.UTF-8",
    LC_ALL: "C.UTF-8",
    ...(word.test(colours) ? { COLORTERM: colours } : {}),
  };
}
