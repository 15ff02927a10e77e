import { Command } from "commander";
import { SandboxError } from "../../core/errors.ts";
import { invalid } from "../../core/validate.ts";
import { requireRoot } from "../assemble.ts";
import { type Context, hostOf } from "../context.ts";
import { buildTemplate } from "../ensure-template.ts";
import { jsonText } from "../report.ts";
import { readableBytes, readableMs, table } from "../table.ts";
import type { ReadyTemplate } from "../templates.ts";

interface TemplateFlags {
  readonly json?: true;
  readonly all?: true;
}

/** `cofferdam template` */
export function templateCommand(context: Context): Command {
  return new Command("template")
    .description("what sandboxes are made from: build, list and remove")
    .addCommand(build(context))
    .addCommand(list(context))
    .addCommand(remove(context));
}

function build(context: Context): Command {
  const command = new Command("build")
    .description(
      "build templates from Debian packages; those that are up to date are left as they are",
    )
    .argument("[name...]", "base, code-interpreter")
    .option("--all", "all built-in templates")
    .option("--json", "print one JSON document");
  return command.action(async (names: readonly string[], flags: TemplateFlags) => {
    const host = hostOf(command);
    const { terminal, interruption } = context;
    if ((names.length === 0) !== (flags.all === true))
      throw invalid(
        "template",
        "expected names or --all, and not both",
        `there are ${host.templates.builtin.join(", ")}`,
      );
    const wanted = flags.all === true ? host.templates.builtin : names;
    for (const name of wanted) requireBuiltin(name, host.templates.builtin);
    requireRoot();
    const built: ReadyTemplate[] = [];
    for (const template of wanted) {
      const begun = performance.now();
      const ready = await buildTemplate(host, terminal, { template, signal: interruption.signal });
      built.push(ready);
      const took = readableMs(performance.now() - begun);
      const size = readableBytes(ready.sizeBytes);
      await terminal.stderr.write(
        `${template} is ready: ${size}, ${ready.digest.slice(0, 19)}, in ${took}\n`,
      );
    }
    if (flags.json === true) await terminal.stdout.write(jsonText(built));
  });
}

function requireBuiltin(name: string, builtin: readonly string[]): void {
  if (builtin.includes(name)) return;
  throw new SandboxError(
    "not-found",
    `there is no recipe for a template ${JSON.stringify(name.slice(0, 60))}`,
    {
      field: "template",
      mend: `there are ${builtin.join(", ")}`,
    },
  );
}

function list(context: Context): Command {
  const command = new Command("ls")
    .alias("list")
    .description("list the templates that are ready on this host")
    .option("--json", "print one JSON document");
  return command.action(async (flags: TemplateFlags) => {
    const { stdout, stderr } = context.terminal;
    const { templates } = hostOf(command);
    const ready = await templates.list();
    if (flags.json === true) return stdout.write(jsonText(ready));
    if (ready.length === 0)
      return stderr.write(
        `No template is ready; cofferdam template build ${templates.builtin.join(" ")}\n`,
      );
    return stdout.write(templateTable(ready, new Date()));
  });
}

/** Templates as a table for a person. */
export function templateTable(templates: readonly ReadyTemplate[], now: Date): string {
  return table(
    ["NAME", "DIGEST", "SIZE", "AGE", "STATE"],
    templates.map((each) => [
      each.name,
      each.digest.slice(0, 19),
      readableBytes(each.sizeBytes),
      readableMs(now.getTime() - each.builtAt.getTime()),
      each.outdated ? "recipe changed" : "up to date",
    ]),
  );
}

function remove(context: Context): Command {
  const command = new Command("rm")
    .alias("remove")
    .description("remove templates that no sandbox uses")
    .argument("<name...>", "names");
  return command.action(async (names: readonly string[]) => {
    const { templates } = hostOf(command);
    requireRoot();
    for (const name of names) {
      if (!(await templates.remove(name)))
        throw new SandboxError(
          "not-found",
          `there is no template ${JSON.stringify(name.slice(0, 60))}`,
          {
            field: "template",
            mend: "cofferdam template ls lists those that are ready",
          },
        );
      await context.terminal.stdout.write(`${name}\n`);
    }
  });
}
