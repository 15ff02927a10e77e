import { type Command, Option } from "commander";
import { SandboxError } from "../core/errors.ts";
import type { SandboxOptions } from "../core/options.ts";
import type { Resources, SeccompProfile } from "../core/spec.ts";
import { textMap } from "../core/validate.ts";
import { readSeccomp } from "./seccomp-file.ts";
import type { ServerFlags } from "./server-options.ts";
import { parseAssignment, parseMebibytes, parseMilliseconds, parseNumber } from "./units.ts";

/** Options that stand before or after any command. */
export interface GlobalOptions extends ServerFlags {
  readonly stateDir?: string;
  readonly allowKnownEscapes?: true;
  readonly color: boolean;
  readonly verbose?: true;
}

/** Options of commands that make a sandbox, as commander gathers them. */
export interface SandboxFlags {
  readonly driver?: string;
  readonly template?: string;
  readonly cpus?: number;
  readonly memory?: number;
  readonly disk?: number;
  readonly pids?: number;
  readonly openFiles?: number;
  readonly lifetime?: number;
  readonly idleTimeout?: number;
  readonly seccomp?: SeccompProfile;
  readonly allowOut?: readonly string[];
  readonly denyOut?: readonly string[];
  readonly allowInternetAccess?: true;
  readonly env?: Readonly<Record<string, string>>;
  readonly metadata?: Readonly<Record<string, string>>;
  /** `false` for `--no-build`. */
  readonly build: boolean;
}

type Parser = (value: string, earlier: unknown) => unknown;

interface OptionTexts {
  readonly flags: string;
  readonly about: string;
  readonly parse?: Parser;
}

/** Each is refused with the library's name of the field. */
const sandboxFlags: readonly OptionTexts[] = [
  {
    flags: "--driver <name>",
    about:
      "auto (the strongest that works here), gvisor, runc, docker, kata, firecracker, qemu (by name alone: it may emulate), or e2b: a service elsewhere, by E2B_API_KEY",
  },
  { flags: "--template <name>", about: "what the sandbox is made from" },
  {
    flags: "--cpus <cores>",
    about: "cores, such as 2 or 0.5",
    parse: (value) => parseNumber("resources.cpus", value),
  },
  {
    flags: "--memory <size>",
    about: "memory without swap: 512MiB, 2GiB; a number alone is MiB",
    parse: (value) => parseMebibytes("resources.memoryMiB", value),
  },
  {
    flags: "--disk <size>",
    about: "private writable layer: 1GiB; a number alone is MiB",
    parse: (value) => parseMebibytes("resources.diskMiB", value),
  },
  {
    flags: "--pids <count>",
    about: "processes and threads at once",
    parse: (value) => parseNumber("resources.pids", value),
  },
  {
    flags: "--open-files <count>",
    about: "open files of each process",
    parse: (value) => parseNumber("resources.openFiles", value),
  },
  {
    flags: "--lifetime <time>",
    about: "ends the sandbox whatever it does: 30s, 5m, 1h",
    parse: (value) => parseMilliseconds("lifetimeMs", value),
  },
  {
    flags: "--idle-timeout <time>",
    about: "ends the sandbox when nobody uses it; 0: never",
    parse: (value) => parseMilliseconds("idleTimeoutMs", value),
  },
  {
    flags: "--env <NAME=VALUE>",
    about: "environment of every process in it; repeatable",
    parse: assignments("envs"),
  },
  {
    flags: "--metadata <NAME=VALUE>",
    about: "shown by ls; repeatable",
    parse: assignments("metadata"),
  },
  {
    flags: "--allow-out <destination>",
    about: "host name, wildcard or CIDR that may be reached; repeatable (default: none)",
    parse: oneMore,
  },
  {
    flags: "--deny-out <destination>",
    about: "taken away from what --allow-out names; repeatable",
    parse: oneMore,
  },
  { flags: "--allow-internet-access", about: "everything outside may be reached" },
  {
    flags: "--seccomp <file>",
    about: "system calls that are allowed, instead of the default: linux.seccomp of OCI, as JSON",
    parse: readSeccomp,
  },
  { flags: "--no-build", about: "fail when the template is not built, instead of building it" },
];

/** Adds the options that say what sandbox is to be made. */
export function addSandboxFlags(command: Command): Command {
  for (const { flags, about, parse } of sandboxFlags)
    command.addOption(option(flags, about, parse));
  return command;
}

/** `--timeout`, in milliseconds. */
export function timeoutFlag(about: string): Option {
  return option("--timeout <time>", about, (value) => parseMilliseconds("timeoutMs", value));
}

function oneMore(value: string, earlier: unknown): readonly unknown[] {
  return [...(Array.isArray(earlier) ? earlier : []), value];
}

/** An option that may stand several times; `parse` reads each. */
export function repeatable(
  flags: string,
  about: string,
  parse: (value: string) => unknown,
): Option {
  return option(flags, about, (value, earlier) => [
    ...(Array.isArray(earlier) ? earlier : []),
    parse(value),
  ]);
}

/** Options `NAME=VALUE`, of which the last one of each name counts. */
export function assignments(field: string): Parser {
  return (value, earlier) =>
    parseAssignment(field, value, textMap(field, earlier, maxAssignmentCharacters));
}

const maxAssignmentCharacters = 1_048_576;

function option(flags: string, about: string, parse?: Parser): Option {
  const made = new Option(flags, about);
  return parse === undefined ? made : made.argParser(parse);
}

/** The library's options for what the flags say. */
export function sandboxOptions(flags: SandboxFlags, standard: SandboxOptions = {}): SandboxOptions {
  const { template, lifetime, idleTimeout, env, metadata } = flags;
  return {
    ...standard,
    resources: resourcesOf(flags),
    ...(template === undefined ? {} : { template }),
    ...(lifetime === undefined ? {} : { lifetimeMs: lifetime }),
    ...(idleTimeout === undefined ? {} : { idleTimeoutMs: idleTimeout }),
    ...(env === undefined ? {} : { envs: env }),
    ...(metadata === undefined ? {} : { metadata }),
    ...egressOf(flags),
    ...(flags.seccomp === undefined ? {} : { seccomp: flags.seccomp }),
  };
}

function egressOf(flags: SandboxFlags): Pick<SandboxOptions, "allowInternetAccess" | "network"> {
  const { allowOut, denyOut, allowInternetAccess } = flags;
  const rules = {
    ...(allowOut === undefined ? {} : { allowOut }),
    ...(denyOut === undefined ? {} : { denyOut }),
  };
  return {
    ...(allowInternetAccess === undefined ? {} : { allowInternetAccess }),
    ...(Object.keys(rules).length === 0 ? {} : { network: rules }),
  };
}

function resourcesOf({ cpus, memory, disk, pids, openFiles }: SandboxFlags): Partial<Resources> {
  return {
    ...(cpus === undefined ? {} : { cpus }),
    ...(memory === undefined ? {} : { memoryMiB: memory }),
    ...(disk === undefined ? {} : { diskMiB: disk }),
    ...(pids === undefined ? {} : { pids }),
    ...(openFiles === undefined ? {} : { openFiles }),
  };
}

/** Refuses options that say what a new sandbox should be, where one is named that runs already. */
export function refuseSandboxFlags(command: Command): void {
  for (const { flags } of sandboxFlags) {
    const known = command.options.find((each) => each.flags === flags);
    if (known === undefined || flags === "--env <NAME=VALUE>" || flags === "--driver <name>")
      continue;
    if (command.getOptionValueSource(known.attributeName()) === "cli")
      throw new SandboxError(
        "invalid",
        `${known.long ?? flags} says what a new sandbox should be, but the sandbox named here runs already`,
        { field: known.attributeName(), mend: "leave one of the two out" },
      );
  }
}
