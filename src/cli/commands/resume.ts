import { Command } from "commander";
import { Sandbox } from "../../core/sandbox.ts";
import { type Context, hostOf } from "../context.ts";
import { parseMilliseconds } from "../units.ts";

interface ResumeFlags {
  readonly driver?: string;
  readonly lifetime?: number;
}

/** `cofferdam resume` */
export function resumeCommand(context: Context): Command {
  const command = new Command("resume")
    .description("let a paused sandbox go on; one that is not detached ends with this command")
    .argument("<sandbox>", "its id")
    .option("--lifetime <time>", "ends it this long from now (default: 5m)", (value) =>
      parseMilliseconds("lifetimeMs", value),
    )
    .option("--driver <name>", "the driver that it is on");
  return command.action(async (id: string, { driver, lifetime }: ResumeFlags) => {
    const sandbox = new Sandbox(await hostOf(command).open(id, driver));
    await sandbox.resume(lifetime === undefined ? {} : { timeoutMs: lifetime });
    await context.terminal.stdout.write(`${id}\n`);
  });
}
