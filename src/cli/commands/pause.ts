import { Command } from "commander";
import type { Kept } from "../../core/kept.ts";
import { Sandbox } from "../../core/sandbox.ts";
import { invalid } from "../../core/validate.ts";
import { type Context, hostOf } from "../context.ts";

interface PauseFlags {
  readonly driver?: string;
  readonly keep?: string;
}

/** `cofferdam pause` */
export function pauseCommand(context: Context): Command {
  const command = new Command("pause")
    .description("stop a sandbox and keep it until it is resumed")
    .argument("<sandbox>", "its id")
    .option("--keep <memory|files>", "what is kept (default: the most that its driver can)")
    .option("--driver <name>", "the driver that it is on");
  return command.action(async (id: string, flags: PauseFlags) => {
    const kept = flags.keep === undefined ? {} : { kept: keptOf(flags.keep) };
    const sandbox = new Sandbox(await hostOf(command).open(id, flags.driver));
    await sandbox.pause(kept);
    await context.terminal.stdout.write(`${id}\n`);
  });
}

function keptOf(text: string): Kept {
  if (text === "memory" || text === "files") return text;
  throw invalid(
    "keep",
    "expected memory or files",
    "leave it out for the most that its driver keeps",
  );
}
