import type { Command } from "commander";
import { SandboxError } from "../core/errors.ts";
import { invalid } from "../core/validate.ts";
import { assembleServer } from "./assemble-server.ts";
import { type Host, type LocalHost, assemble } from "./assemble.ts";
import type { Interruption } from "./interruption.ts";
import type { GlobalOptions } from "./options.ts";
import { type ServerAddress, serverAddress, serverVariables } from "./server-options.ts";
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

/** Where sandboxes are made, as the global options and the environment say. */
export function hostOf(command: Command): Host {
  const server = serverOf(command);
  return server === undefined ? localHostOf(command) : assembleServer(server);
}

/** This host itself. Throws `unsupported` where a server is named: what the command does is done on the server's own host. */
export function localHostOf(command: Command): LocalHost {
  const server = serverOf(command);
  if (server !== undefined) throw onlyHere(nameOf(command), server);
  const { stateDir, allowKnownEscapes } = globalOptions(command);
  return assemble(stateDir, allowKnownEscapes);
}

/** `template build` */
function nameOf(command: Command): string {
  const { parent } = command;
  return parent === null || parent.parent === null
    ? command.name()
    : `${nameOf(parent)} ${command.name()}`;
}

/** The server that the global options or the environment name; `undefined`: none. Throws what `serverAddress` throws. */
export function serverOf(command: Command): ServerAddress | undefined {
  const options = globalOptions(command);
  const server = serverAddress(options);
  for (const name of ["stateDir", "allowKnownEscapes"] as const)
    if (server !== undefined && options[name] !== undefined)
      throw invalid(
        name,
        `is about this host, but the sandboxes are those of ${server.url}`,
        `leave it out, or take away --server and ${serverVariables.server}`,
      );
  return server;
}

function onlyHere(what: string, { url }: ServerAddress): SandboxError {
  return new SandboxError("unsupported", `${what} does not work on a server from afar: ${url}`, {
    field: "server",
    mend: `run it on the server's own host, without --server and ${serverVariables.server}`,
  });
}

export function globalOptions(command: Command): GlobalOptions {
  return command.optsWithGlobals();
}
