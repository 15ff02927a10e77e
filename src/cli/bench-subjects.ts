import type { Subject } from "../bench/scenario.ts";
import type { Availability, Driver } from "../core/driver.ts";
import { SandboxError } from "../core/errors.ts";
import type { LocalHost } from "./assemble.ts";
import { benchServer } from "./bench-server.ts";
import { rawRuntime } from "./raw-runtimes.ts";

/** How many live sandboxes the density scenario makes when nobody says: what is promised for 24 GiB. */
const densityTargets: Readonly<Record<string, number>> = { runc: 600, gvisor: 300 };
const standardDensity = 100;

/**
 * The drivers that are named, or all that work on this host, each with the raw runtime below it.
 *
 * Throws `invalid` for an unknown name, `unavailable` for a named driver that this host cannot use, and when none works.
 */
export async function benchSubjects(
  host: LocalHost,
  names: readonly string[] | undefined,
  density: number | undefined,
): Promise<readonly Subject[]> {
  const drivers = names === undefined ? await host.drivers(undefined) : await named(host, names);
  const subjects: Subject[] = [];
  const refused: SandboxError[] = [];
  for (const driver of drivers) {
    const availability = await driver.probe();
    if (availability.ok) subjects.push(await subjectOf(host, driver, density));
    else refused.push(unavailable(driver, availability));
  }
  const [first] = refused;
  if (first !== undefined && (names !== undefined || subjects.length === 0)) throw first;
  return subjects;
}

function unavailable(
  { name }: Driver,
  { reason, mend }: Extract<Availability, { readonly ok: false }>,
): SandboxError {
  return new SandboxError("unavailable", `${name}: ${reason}`, { field: "driver", mend });
}

async function named(host: LocalHost, names: readonly string[]): Promise<readonly Driver[]> {
  const wanted = [...new Set(names.flatMap((name) => name.split(",")))];
  return (await Promise.all(wanted.map((name) => host.drivers(name)))).flat();
}

async function subjectOf(
  host: LocalHost,
  driver: Driver,
  density: number | undefined,
): Promise<Subject> {
  const rootOf = async (template: string): Promise<string> =>
    (await host.templates.resolve(template)).rootfs;
  return {
    driver,
    raw: await rawRuntime(driver.name, rootOf),
    serve: (directory) => benchServer({ driver, stateDir: directory, templatesOf: host.stateDir }),
    densityTarget: density ?? densityTargets[driver.name] ?? standardDensity,
  };
}
