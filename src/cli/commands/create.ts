import { Command } from "commander";
import { type Context, globalOptions, hostOf } from "../context.ts";
import { freshSandbox } from "../fresh.ts";
import { type SandboxFlags, addSandboxFlags, sandboxOptions } from "../options.ts";
import { jsonText } from "../report.ts";

interface CreateFlags extends SandboxFlags {
  readonly json?: true;
}

const standardLifetimeMs = 3_600_000;
const standardIdleTimeoutMs = 600_000;

const examples = `
Examples:
  id=$(cofferdam create --lifetime 2h)
  cofferdam exec "$id" -- python3 -c 'print(1 + 1)'
  cofferdam kill "$id"

It lives for an hour, or until nobody has used it for ten minutes, unless told otherwise.`;

/** `cofferdam create` */
export function createCommand(context: Context): Command {
  const command = new Command("create")
    .description("make a sandbox that lives on, and print its id")
    .option("--json", "print one JSON document");
  return addSandboxFlags(command)
    .addHelpText("after", examples)
    .action(async (flags: CreateFlags) => {
      const { terminal, interruption } = context;
      const standard = {
        detached: true,
        lifetimeMs: standardLifetimeMs,
        idleTimeoutMs: standardIdleTimeoutMs,
      };
      const { sandbox } = await freshSandbox(hostOf(command), terminal, {
        driver: flags.driver,
        options: { ...sandboxOptions(flags, standard), signal: interruption.signal },
        build: flags.build,
        verbose: globalOptions(command).verbose === true && flags.json !== true,
      });
      const { sandboxId, choice } = sandbox;
      if (flags.json !== true) return terminal.stdout.write(`${sandboxId}\n`);
      return terminal.stdout.write(jsonText({ ...(await sandbox.getInfo()), choice }));
    });
}
