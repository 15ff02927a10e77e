import { Command } from "commander";
import type { BenchFlags } from "../bench-run.ts";
import { type Context, localHostOf } from "../context.ts";
import { repeatable } from "../options.ts";
import { parseNumber } from "../units.ts";

const examples = `
Examples:
  cofferdam bench --driver gvisor --scenario cold-start --count 20
  cofferdam bench --json > report.json
  cofferdam bench --scenario files --compare report.json

A scenario that does not exist is refused with the list of those that do. Each is measured beside the raw runtime doing the same, in turns; percentiles are raw and failures are counted.`;

/** `cofferdam bench` */
export function benchCommand(context: Context): Command {
  const command = new Command("bench")
    .description("measure this host: our figures beside the raw runtime's")
    .addOption(
      repeatable(
        "--driver <name>",
        "only this driver; repeatable (default: all that work)",
        String,
      ),
    )
    .addOption(
      repeatable("--scenario <name>", "only this scenario; repeatable (default: all)", String),
    )
    .option("--count <attempts>", "attempts per side (default: each scenario's own)", (value) =>
      parseNumber("count", value),
    )
    .option("--density <sandboxes>", "live sandboxes that the density scenario makes", (value) =>
      parseNumber("density", value),
    )
    .option("--output <file>", "also write the report as JSON to a file")
    .option("--compare <file>", "say what changed since the report in this file")
    .option("--no-build", "fail when a template is not built, instead of building it")
    .option("--markdown", "print a Markdown table")
    .option("--json", "print one JSON document");
  return command.addHelpText("after", examples).action(async (flags: BenchFlags) => {
    const { measureHost } = await import("../bench-run.ts");
    await measureHost(localHostOf(command), context, flags);
  });
}
