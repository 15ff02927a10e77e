import { Command } from "commander";
import { SandboxError } from "../../core/errors.ts";
import { invalid } from "../../core/validate.ts";
import type { ListedTemplate, Template } from "../../images/templates.ts";
import { requireRoot } from "../assemble.ts";
import { type Context, localHostOf, serverOf } from "../context.ts";
import { buildTemplate } from "../ensure-template.ts";
import { jsonText } from "../report.ts";
import { serverTemplateTable, serverTemplates } from "../server-templates.ts";
import { readableBytes, readableMs, table } from "../table.ts";

interface BuildFlags {
  readonly all?: true;
  readonly force?: true;
  readonly json?: true;
}

const examples = `
Examples:
  cofferdam template build base code-interpreter
  cofferdam template build ./my-template
  cofferdam template ls`;

/** `cofferdam template` */
export function templateCommand(context: Context): Command {
  return new Command("template")
    .description("what sandboxes are made from: build, list and remove")
    .addHelpText("after", examples)
    .addCommand(build(context))
    .addCommand(list(context))
    .addCommand(remove(context));
}

function build(context: Context): Command {
  const command = new Command("build")
    .description(
      "build templates from Debian packages; those that are up to date are left as they are",
    )
    .argument(
      "[template...]",
      "base, code-interpreter, or the path of a recipe, which holds a slash",
    )
    .option("--all", "all built-in templates")
    .option("--force", "build anew what is up to date")
    .option("--json", "print one JSON document");
  return command.action(async (names: readonly string[], flags: BuildFlags) => {
    const host = localHostOf(command);
    const { terminal, interruption } = context;
    if ((names.length === 0) !== (flags.all === true))
      throw invalid(
        "template",
        "expected templates or --all, and not both",
        `the built-in ones are ${host.builtinTemplates.join(", ")}`,
      );
    const wanted = flags.all === true ? host.builtinTemplates : names;
    for (const name of wanted) requireRecipe(name, host.builtinTemplates);
    requireRoot();
    const built: Template[] = [];
    for (const template of wanted) {
      const begun = performance.now();
      const ready = await buildTemplate(host, terminal, {
        template,
        force: flags.force === true,
        signal: interruption.signal,
      });
      built.push(ready);
      const took = readableMs(performance.now() - begun);
      const facts = `${readableBytes(ready.sizeBytes)}, ${ready.digest.slice(0, 12)}`;
      await terminal.stderr.write(`${ready.name} is ready: ${facts}, in ${took}\n`);
    }
    if (flags.json === true) await terminal.stdout.write(jsonText(built));
  });
}

function requireRecipe(name: string, builtin: readonly string[]): void {
  if (name.includes("/") || builtin.includes(name)) return;
  throw new SandboxError(
    "not-found",
    `there is no recipe for a template ${JSON.stringify(name.slice(0, 60))}`,
    {
      field: "template",
      mend: `the built-in ones are ${builtin.join(", ")}; a path of your own holds a slash: ./${name}`,
    },
  );
}

function list(context: Context): Command {
  const command = new Command("ls")
    .alias("list")
    .description("list the templates that are ready on this host, or on the server")
    .option("--json", "print one JSON document");
  return command.action(async (flags: Pick<BuildFlags, "json">) => {
    const { stdout, stderr } = context.terminal;
    const server = serverOf(command);
    if (server !== undefined) {
      const there = await serverTemplates(server);
      const text = flags.json === true ? jsonText(there) : serverTemplateTable(there, new Date());
      return stdout.write(text);
    }
    const host = localHostOf(command);
    const ready = await host.templates.list();
    if (flags.json === true) return stdout.write(jsonText(ready));
    if (ready.length === 0)
      return stderr.write(
        `No template is ready; cofferdam template build ${host.builtinTemplates.join(" ")}\n`,
      );
    return stdout.write(templateTable(ready, new Date()));
  });
}

/** Templates as a table for a person. */
function templateTable(templates: readonly ListedTemplate[], now: Date): string {
  return table(
    ["NAME", "DIGEST", "SIZE", "AGE", "STATE"],
    templates.map((each) => [
      each.name,
      each.digest.slice(0, 12),
      readableBytes(each.sizeBytes),
      readableMs(now.getTime() - each.createdAt.getTime()),
      each.outdated ? "its recipe has changed" : "up to date",
    ]),
  );
}

function remove(context: Context): Command {
  const command = new Command("rm")
    .alias("remove")
    .description("remove templates that no sandbox uses")
    .argument("<name...>", "names");
  return command.action(async (names: readonly string[]) => {
    const { templates } = localHostOf(command);
    for (const name of names) {
      await templates.remove(name);
      await context.terminal.stdout.write(`${name}\n`);
    }
  });
}
