import { Command } from "commander";
import { type Context, globalOptions, hostOf } from "../context.ts";
import { type CommandFlags, commandOf, terminalEnvironment } from "../guest-command.ts";
import { type SandboxFlags, addSandboxFlags, refuseSandboxFlags } from "../options.ts";
import { requireTerminal, runInTerminal } from "../processes.ts";
import { withSandbox } from "../with-sandbox.ts";

interface ShellFlags extends SandboxFlags, Omit<CommandFlags, "timeout"> {}

const standardLifetimeMs = 12 * 3_600_000;

const examples = `
Examples:
  cofferdam shell
  cofferdam shell --template base --memory 2GiB
  cofferdam shell i0123456789abcdefghij --user root

Keys go to the sandbox as they are, Ctrl-C too; leave with exit or Ctrl-D. The exit code is the shell's.`;

/** `cofferdam shell` */
export function shellCommand(context: Context): Command {
  const command = new Command("shell")
    .description("open a terminal in a sandbox, new unless its id is given")
    .argument(
      "[sandbox]",
      "id of a running sandbox; without one, a new sandbox for as long as the shell lives",
    )
    .option("--user <name>", "whose shell (default: the template's unprivileged user)")
    .option("--cwd <directory>", "where it starts (default: the user's home)");
  return addSandboxFlags(command)
    .addHelpText("after", examples)
    .action(async (sandbox: string | undefined, flags: ShellFlags) => {
      const { terminal, interruption } = context;
      requireTerminal(terminal);
      if (sandbox !== undefined) refuseSandboxFlags(command);
      const exitCode = await withSandbox(
        { host: hostOf(command), terminal },
        {
          id: sandbox,
          flags,
          signal: interruption.signal,
          verbose: globalOptions(command).verbose === true,
          standard: { idleTimeoutMs: 0, lifetimeMs: standardLifetimeMs },
        },
        ({ machine }) => {
          const shell = commandOf(["/bin/bash", "-i", "-l"], flags);
          const envs = { ...terminalEnvironment(), ...shell.envs };
          return runInTerminal(
            machine,
            { ...shell, envs },
            { terminal, signal: interruption.signal },
          );
        },
      );
      context.exitWith(exitCode);
    });
}
