import { Command } from "commander";
import { invalid } from "../../core/validate.ts";
import { type Context, globalOptions, hostOf } from "../context.ts";
import { type SandboxFlags, addSandboxFlags, refuseSandboxFlags, timeoutFlag } from "../options.ts";
import { type CommandFlags, commandOf, terminalEnvironment } from "../guest-command.ts";
import { hintText, networkHint, tail } from "../hints.ts";
import { requireTerminal, runInTerminal, runPiped } from "../processes.ts";
import { withSandbox } from "../with-sandbox.ts";
import { lifetimeFor } from "./run.ts";

interface ExecFlags extends SandboxFlags, CommandFlags {
  readonly tty?: true;
}

const standardTimeoutMs = 300_000;

const examples = `
Examples:
  cofferdam exec -- python3 --version
  cofferdam exec i0123456789abcdefghij -- ls -la
  tar c src | cofferdam exec --template base -- tar xv
  cofferdam exec i0123456789abcdefghij --tty -- top

Without a sandbox's id the command runs in a new sandbox, which is gone afterwards. No shell is involved:
write bash -c '…' where you want one. The exit code is the program's own.`;

/** `cofferdam exec` */
export function execCommand(context: Context): Command {
  const command = new Command("exec")
    .description("run a command in a sandbox, with this shell's input and outputs")
    .usage("[options] [sandbox] -- COMMAND…")
    .argument("[sandbox]", "id of a running sandbox; without one, a new sandbox")
    .option("--tty", "give the command a terminal")
    .option("--user <name>", "who runs it (default: the template's unprivileged user)")
    .option("--cwd <directory>", "working directory inside (default: the user's home)")
    .addOption(
      timeoutFlag("kills the command and all its children: 30s, 5m; 0: never (default: 5m)"),
    );
  return addSandboxFlags(command)
    .addHelpText("after", examples)
    .action(async (sandbox: string | undefined, flags: ExecFlags) => {
      const [program, ...rest] = context.afterDashes ?? [];
      if (program === undefined)
        throw invalid(
          "command",
          "there is no command",
          "put it behind --, as in: cofferdam exec -- ls -la",
        );
      if (sandbox !== undefined) refuseSandboxFlags(command);
      if (flags.tty === true) requireTerminal(context.terminal);
      const timeoutMs = flags.timeout ?? standardTimeoutMs;
      const { terminal, interruption } = context;
      const exitCode = await withSandbox(
        { host: hostOf(command), terminal },
        {
          id: sandbox,
          flags,
          signal: interruption.signal,
          verbose: globalOptions(command).verbose === true,
          standard: { idleTimeoutMs: 0, lifetimeMs: lifetimeFor(timeoutMs) },
        },
        async ({ machine, driver }) => {
          const surroundings = { terminal, signal: interruption.signal };
          const asked = commandOf([program, ...rest], { ...flags, timeout: timeoutMs });
          if (flags.tty !== true) {
            const said = tail();
            const onStderr = (bytes: Uint8Array): void => said.take(bytes);
            const code = await runPiped(machine, asked, { ...surroundings, onStderr });
            const hint = code === 0 ? undefined : networkHint(said.text, driver);
            if (hint !== undefined) await terminal.stderr.write(hintText(hint));
            return code;
          }
          const envs = { ...terminalEnvironment(), ...asked.envs };
          return runInTerminal(machine, { ...asked, envs }, surroundings);
        },
      );
      context.exitWith(exitCode);
    });
}
