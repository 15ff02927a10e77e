import { Command } from "commander";
import { type Topic, topics } from "../../conformance/case.ts";
import { invalid, nearest } from "../../core/validate.ts";
import { type Context, hostOf, localHostOf } from "../context.ts";
import { checkup, serverCheckup } from "../doctor-checkup.ts";
import type { SuiteFlags } from "../doctor-suite.ts";
import { enforcementTable } from "../doctor-enforcement.ts";

interface DoctorFlags extends SuiteFlags {
  readonly driver?: string;
  readonly enforcement?: true;
}

const examples = `
Examples:
  cofferdam doctor
  cofferdam doctor --driver gvisor
  cofferdam doctor --driver runc --topic isolation --topic limits
  cofferdam doctor --driver gvisor --enforcement

Without --driver it says what this host has and which drivers work on it, each by starting a machine; it exits
with 69 when none does. With --driver it runs the conformance suite here and exits with 1 when a case failed.
With --server it says whether the server answers, and what enforces each option there.`;

/** `cofferdam doctor` */
export function doctorCommand(context: Context): Command {
  const command = new Command("doctor")
    .description("say what works on this host, and what mends what does not")
    .option("--driver <name>", "run the conformance suite against this driver")
    .option(
      "--topic <topic>",
      `only cases of this topic; repeatable: ${topics.join(", ")}`,
      addTopic,
    )
    .option("--filter <text>", "only cases whose name contains it")
    .option(
      "--enforcement",
      "say what enforces each option on this driver, instead of running the suite",
    )
    .option(
      "--no-build",
      "fail when a template that the suite needs is not built, instead of building it",
    )
    .option("--json", "print one JSON document");
  return command
    .addHelpText("after", examples)
    .action((flags: DoctorFlags) =>
      flags.driver === undefined
        ? general(command, context, flags)
        : ofDriver(command, context, flags),
    );
}

/** What the host, or the server, can do. */
async function general(command: Command, context: Context, flags: DoctorFlags): Promise<void> {
  const host = hostOf(command);
  for (const name of ["topic", "filter", "enforcement"] as const)
    if (flags[name] !== undefined)
      throw invalid(
        name,
        `--${name} needs --driver`,
        `cofferdam doctor --driver gvisor --${name} …`,
      );
  const json = flags.json === true;
  const { local } = host;
  context.exitWith(
    await (local === undefined
      ? serverCheckup(host, context, json)
      : checkup(local, context, json)),
  );
}

async function ofDriver(command: Command, context: Context, flags: DoctorFlags): Promise<void> {
  const host = hostOf(command);
  const [driver, ...others] = await host.drivers(flags.driver);
  if (driver === undefined || others.length > 0)
    throw invalid("driver", "expected one driver", "name it, as cofferdam doctor shows it");
  if (flags.enforcement === true)
    return enforcementTable(driver, context.terminal, flags.json === true);
  const { conformance } = await import("../doctor-suite.ts");
  context.exitWith(await conformance(localHostOf(command), { context, driver, flags }));
}

function addTopic(value: string, earlier: readonly Topic[] = []): readonly Topic[] {
  const topic = topics.find((known) => known === value);
  if (topic !== undefined) return [...earlier, topic];
  const similar = nearest(value, topics);
  throw invalid(
    "topic",
    `there is no topic ${JSON.stringify(value.slice(0, 40))}`,
    similar === undefined ? `there are ${topics.join(", ")}` : `did you mean ${similar}?`,
  );
}
