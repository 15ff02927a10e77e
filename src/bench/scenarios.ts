import { SandboxError } from "../core/errors.ts";
import { nearest } from "../core/validate.ts";
import type { Scenario } from "./scenario.ts";
import { command, evaluation } from "./scenarios/commands.ts";
import { fileScenarios } from "./scenarios/files.ts";
import { density, memory } from "./scenarios/memory.ts";
import { forkBombCommand, forkBombSandbox, runawaySandbox } from "./scenarios/runaway.ts";
import { serverScenarios } from "./scenarios/server.ts";
import { coldStart, coldStartPython, kernelStart } from "./scenarios/starts.ts";

/** All that can be measured, in the order of a full run. */
export const scenarios: readonly Scenario[] = [
  coldStart,
  coldStartPython,
  kernelStart,
  command,
  evaluation,
  ...fileScenarios,
  memory,
  runawaySandbox,
  forkBombSandbox,
  forkBombCommand,
  ...serverScenarios,
  density,
];

/** Scenarios by name; `files` takes all that begin so. Throws `invalid` for a name that none begins with. */
export function scenariosNamed(names: readonly string[]): readonly Scenario[] {
  for (const name of names) requireKnown(name);
  return scenarios.filter((each) => names.some((name) => matches(each, name)));
}

function matches({ name }: Scenario, wanted: string): boolean {
  return name === wanted || (name.startsWith(`${wanted}-`) && !isExact(wanted));
}

function isExact(wanted: string): boolean {
  return scenarios.some(({ name }) => name === wanted);
}

function requireKnown(wanted: string): void {
  if (scenarios.some((each) => matches(each, wanted))) return;
  const names = scenarios.map(({ name }) => name);
  const similar = nearest(wanted, names);
  throw new SandboxError(
    "invalid",
    `there is no scenario ${JSON.stringify(wanted.slice(0, 40))}; there are ${names.join(", ")}`,
    {
      field: "scenario",
      ...(similar === undefined ? {} : { mend: `did you mean ${similar}?` }),
    },
  );
}
