import type { Driver, Machine } from "../core/driver.ts";
import { type SandboxOptions, templateOf } from "../core/options.ts";
import { type DriverChoice, Sandbox, type SandboxParts } from "../core/sandbox.ts";
import type { Host } from "./assemble.ts";
import { ensureTemplate } from "./ensure-template.ts";
import { spinner } from "./progress.ts";
import type { Terminal } from "./terminal.ts";

/** A sandbox and the machine that it is made over, whose bytes come undecoded. */
export interface Opened {
  readonly sandbox: Sandbox;
  readonly machine: Machine;
  readonly driver: Driver;
}

/** What is wanted of a new sandbox. */
export interface Wanted {
  readonly driver: string | undefined;
  readonly options: SandboxOptions & { readonly signal: AbortSignal };
  /** Whether a built-in template that is missing is built. */
  readonly build: boolean;
  /** Whether to say on stderr which driver was taken, and why. */
  readonly verbose: boolean;
}

/** Makes a sandbox and says on a terminal that it does. */
export async function freshSandbox(
  host: Host,
  terminal: Terminal,
  wanted: Wanted,
): Promise<Opened> {
  const { driver, options, build, verbose } = wanted;
  await host.check(driver, options);
  const { signal } = options;
  if (host.local !== undefined && !host.isElsewhere(driver))
    await ensureTemplate(host.local, terminal, { template: templateOf(options), build, signal });
  const waiting = spinner(terminal.stderr, "starting a sandbox");
  let parts: SandboxParts;
  try {
    parts = await host.create(driver, options);
  } finally {
    waiting.stop();
  }
  if (verbose) await terminal.stderr.write(choiceText(parts.choice));
  return opened(parts);
}

export function opened(parts: SandboxParts): Opened {
  return { sandbox: new Sandbox(parts), machine: parts.machine, driver: parts.driver };
}

/** Which driver, why, and what was passed over. */
function choiceText({ driver, reason, rejected }: DriverChoice): string {
  const passedOver = rejected.map((each) => `  not ${each.driver}: ${each.reason}\n`);
  return `driver: ${driver}, because ${reason}\n${passedOver.join("")}`;
}
