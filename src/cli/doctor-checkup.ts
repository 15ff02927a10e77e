import type { Availability, Driver } from "../core/driver.ts";
import { SandboxError, meanings } from "../core/errors.ts";
import type { Template } from "../images/templates.ts";
import type { Host, LocalHost } from "./assemble.ts";
import type { Context } from "./context.ts";
import { factsRows, hostFacts } from "./doctor-facts.ts";
import { untilAborted } from "./interruption.ts";
import { spinner } from "./progress.ts";
import { jsonText } from "./report.ts";
import { readableBytes, table } from "./table.ts";
import type { Terminal } from "./terminal.ts";
import { visibleText } from "./visible-text.ts";

interface Probed {
  readonly driver: Driver;
  readonly availability: Availability;
}

/** Says what the host has and what each driver's probe found. The exit code: 0 when a driver works. */
export async function checkup(host: LocalHost, context: Context, json: boolean): Promise<number> {
  const { terminal } = context;
  const facts = await hostFacts(host.stateDir);
  const services = await Promise.all(host.serviceNames.map((name) => host.drivers(name)));
  const drivers = [...(await host.drivers(undefined)), ...services.flat()];
  const probed = await probeAll(drivers, context);
  const templates = await templatesOf(host);
  const { stdout } = terminal;
  if (json) {
    const list = templates ?? null;
    await stdout.write(jsonText({ facts, drivers: probed.map(documentOf), templates: list }));
  } else {
    const { bold } = stdout.colours;
    await stdout.write(
      `${bold("Host")}\n${table(["", ""], factsRows(facts)).replace(/^.*\n/, "")}`,
    );
    await stdout.write(`\n${bold("Drivers")}, strongest first\n`);
    for (const each of probed) await stdout.write(probeText(each, terminal));
    await stdout.write(`\n${bold("Templates")}\n${templatesText(host, templates)}`);
  }
  return codeOf(probed);
}

/** `undefined`: this user may not look. */
async function templatesOf({ templates }: LocalHost): Promise<readonly Template[] | undefined> {
  try {
    return await templates.list();
  } catch (cause) {
    if (SandboxError.from(cause).code !== "denied") throw cause;
    return undefined;
  }
}

function templatesText(host: LocalHost, templates: readonly Template[] | undefined): string {
  if (templates === undefined)
    return `  not known: this user may not look into ${host.stateDir}\n          mend: run the same command with sudo\n`;
  const ready = templates.map(
    ({ name, sizeBytes }) => `  ${visibleText(name)}  ${readableBytes(sizeBytes)}\n`,
  );
  return ready.join("") || `  none; cofferdam template build ${host.builtinTemplates.join(" ")}\n`;
}

/** Says whether a server answers, and what is behind it. The exit code: 0 when it does. */
export async function serverCheckup(host: Host, context: Context, json: boolean): Promise<number> {
  const { terminal } = context;
  const probed = await probeAll(await host.drivers(undefined), context);
  const text = probed.map((each) => probeText(each, terminal)).join("");
  await terminal.stdout.write(json ? jsonText({ drivers: probed.map(documentOf) }) : text);
  return codeOf(probed);
}

function documentOf({ driver, availability }: Probed): Readonly<Record<string, unknown>> {
  const { name, isolation, capabilities } = driver;
  return { name, isolation, capabilities: [...capabilities], ...availability };
}

function codeOf(probed: readonly Probed[]): number {
  return probed.some(({ availability }) => availability.ok) ? 0 : meanings.unavailable.exit;
}

/** One after the other: a probe starts a machine, and two at once would tell of each other. */
async function probeAll(
  drivers: readonly Driver[],
  { terminal, interruption }: Context,
): Promise<readonly Probed[]> {
  const probed: Probed[] = [];
  const waiting = spinner(terminal.stderr, "probing");
  try {
    for (const driver of drivers) {
      waiting.say(`probing ${driver.name}`);
      probed.push({
        driver,
        availability: await untilAborted(driver.probe(), interruption.signal),
      });
    }
  } finally {
    waiting.stop();
  }
  return probed;
}

function probeText({ driver, availability }: Probed, { stdout }: Terminal): string {
  const { green, red } = stdout.colours;
  const name = `${driver.name} (${driver.isolation})`;
  if (!availability.ok) {
    const { reason, mend } = availability;
    return `  ${red("absent")}  ${name}: ${visibleText(reason)}\n          mend: ${visibleText(mend)}\n`;
  }
  const notes = availability.notes.map((note) => `          ${visibleText(note)}\n`);
  return `  ${green("works")}   ${name}: ${visibleText(availability.version)}\n${notes.join("")}`;
}
