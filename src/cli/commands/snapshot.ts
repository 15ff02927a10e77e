import { Command } from "commander";
import type { SnapshotInfo } from "../../core/driver.ts";
import { SandboxError } from "../../core/errors.ts";
import { Sandbox } from "../../core/sandbox.ts";
import { type Context, hostOf } from "../context.ts";
import { jsonText } from "../report.ts";
import { readableMs, table } from "../table.ts";

interface SnapshotFlags {
  readonly driver?: string;
  readonly name?: string;
  readonly json?: true;
}

/** `cofferdam snapshot` */
export function snapshotCommand(context: Context): Command {
  return new Command("snapshot")
    .description("make templates of running sandboxes")
    .addCommand(takeCommand(context))
    .addCommand(listCommand(context))
    .addCommand(removeCommand(context));
}

function takeCommand(context: Context): Command {
  const command = new Command("take")
    .description("make a snapshot of a running sandbox, and print its name")
    .argument("<sandbox>", "its id")
    .option("--name <name>", "by which `--template` finds it (default: one is made up)")
    .option("--driver <name>", "the driver that it is on");
  return command.action(async (id: string, { driver, name }: SnapshotFlags) => {
    const sandbox = new Sandbox(await hostOf(command).open(id, driver));
    const info = await sandbox.createSnapshot(name === undefined ? {} : { name });
    await context.terminal.stdout.write(`${info.name}\n`);
  });
}

function listCommand(context: Context): Command {
  const command = new Command("ls")
    .description("list the snapshots")
    .option("--driver <name>", "only those of one driver")
    .option("--json", "print one JSON document");
  return command.action(async ({ driver, json }: SnapshotFlags) => {
    const found: SnapshotInfo[] = [];
    for (const { snapshots } of await hostOf(command).drivers(driver))
      for await (const info of snapshots?.list() ?? []) found.push(info);
    const { stdout } = context.terminal;
    if (json === true) return stdout.write(jsonText(found));
    return found.length === 0 ? undefined : stdout.write(snapshotTable(found));
  });
}

function snapshotTable(snapshots: readonly SnapshotInfo[]): string {
  return table(
    ["NAME", "TEMPLATE", "KEPT", "SIZE", "AGE"],
    snapshots.map((each) => [
      each.name,
      each.template,
      each.kept,
      `${Math.ceil(each.sizeBytes / 1_048_576)} MiB`,
      readableMs(Date.now() - each.createdAt.getTime()),
    ]),
  );
}

function removeCommand(context: Context): Command {
  const command = new Command("rm")
    .description("remove a snapshot; sandboxes made from it live on")
    .argument("<name>", "the snapshot's")
    .option("--driver <name>", "its driver");
  return command.action(async (name: string, { driver }: SnapshotFlags) => {
    for (const { snapshots } of await hostOf(command).drivers(driver))
      if ((await snapshots?.remove(name)) === true)
        return context.terminal.stdout.write(`${name}\n`);
    throw new SandboxError("not-found", `there is no snapshot ${JSON.stringify(name)}`, {
      mend: "cofferdam snapshot ls lists those that are there",
    });
  });
}
