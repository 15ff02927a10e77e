import { Command } from "commander";
import type { SandboxInfo } from "../../core/sandbox-info.ts";
import { type Context, hostOf } from "../context.ts";
import { assignments } from "../options.ts";
import { jsonText } from "../report.ts";
import { readableMs, table } from "../table.ts";
import { visibleText } from "../visible-text.ts";

interface ListFlags {
  readonly driver?: string;
  readonly metadata?: Readonly<Record<string, string>>;
  readonly json?: true;
}

/** `cofferdam ls` */
export function listCommand(context: Context): Command {
  const command = new Command("ls")
    .alias("list")
    .description("list the sandboxes that run on this host, newest first")
    .option("--driver <name>", "only those of one driver")
    .option(
      "--metadata <NAME=VALUE>",
      "only those that were made with it; repeatable",
      assignments("metadata"),
    )
    .option("--json", "print one JSON document");
  return command.action(async (flags: ListFlags) => {
    const { stdout, stderr } = context.terminal;
    const sandboxes = await hostOf(command)
      .list(flags.driver, flags.metadata ?? {})
      .nextItems();
    if (flags.json === true) return stdout.write(jsonText(sandboxes));
    if (sandboxes.length === 0)
      return stderr.isTerminal ? stderr.write("No sandbox runs on this host.\n") : undefined;
    return stdout.write(sandboxTable(sandboxes, new Date()));
  });
}

/** Sandboxes as a table for a person. */
function sandboxTable(sandboxes: readonly SandboxInfo[], now: Date): string {
  return table(
    ["ID", "TEMPLATE", "DRIVER", "STATE", "CPUS", "MEMORY", "AGE", "ENDS IN", "METADATA"],
    sandboxes.map((each) => [
      each.sandboxId,
      each.name,
      each.behind ?? each.driver,
      each.state,
      String(each.cpuCount),
      `${each.memoryMB} MiB`,
      readableMs(now.getTime() - each.startedAt.getTime()),
      each.state === "paused" ? "never" : readableMs(each.endAt.getTime() - now.getTime()),
      metadataText(each.metadata),
    ]),
  );
}

function metadataText(metadata: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(metadata).map(([name, value]) => `${name}=${value}`);
  return visibleText(pairs.join(" "), 80);
}
