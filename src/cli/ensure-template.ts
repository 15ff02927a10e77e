import { SandboxError } from "../core/errors.ts";
import type { Template } from "../images/templates.ts";
import type { LocalHost } from "./assemble.ts";
import { progress } from "./progress.ts";
import type { Terminal } from "./terminal.ts";

interface Needed {
  readonly template: string;
  readonly build: boolean;
  readonly signal: AbortSignal;
}

/** Builds a built-in template that is missing, after saying so. Throws `not-found` where that is not wanted or not possible. */
export async function ensureTemplate(
  host: LocalHost,
  terminal: Terminal,
  needed: Needed,
): Promise<void> {
  const { template, build, signal } = needed;
  const { templates, builtinTemplates } = host;
  if (await templates.has(template)) return;
  if (!builtinTemplates.includes(template))
    throw new SandboxError("not-found", `there is no template ${template}`, {
      field: "template",
      mend: `the built-in ones are ${builtinTemplates.join(" and ")}; cofferdam template ls lists those that are ready`,
    });
  if (!build)
    throw new SandboxError("not-found", `the template ${template} is not built on this host`, {
      field: "template",
      mend: `cofferdam template build ${template}`,
    });
  await terminal.stderr.write(
    `The template ${template} is not on this host yet; building it once, from Debian packages.\n`,
  );
  await buildTemplate(host, terminal, { template, signal });
}

interface Build {
  readonly template: string;
  readonly signal: AbortSignal;
  readonly force?: boolean;
}

/** Builds a template with its progress on stderr. */
export async function buildTemplate(
  host: LocalHost,
  terminal: Terminal,
  { template, signal, force = false }: Build,
): Promise<Template> {
  const shown = progress(terminal.stderr, template);
  try {
    return await host.templates.build(template, {
      signal,
      force,
      onProgress: ({ stage, percent, detail }) => shown.show({ stage, detail, percent }),
    });
  } finally {
    shown.stop();
  }
}
