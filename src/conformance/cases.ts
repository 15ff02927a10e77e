import { badInputCases } from "./bad-input.ts";
import type { Case } from "./case.ts";
import { checkpointCases } from "./checkpoints.ts";
import { contextCases } from "./contexts.ts";
import { directoryCases } from "./directories.ts";
import { execCases } from "./exec.ts";
import { fileCases } from "./files.ts";
import { floodCases } from "./floods.ts";
import { isolationCases } from "./isolation.ts";
import { languageCases } from "./languages.ts";
import { leftoverCases } from "./leftovers.ts";
import { lifecycleCases } from "./lifecycle.ts";
import { limitCases } from "./limits.ts";
import { networkCases } from "./network.ts";
import { pauseCases } from "./pauses.ts";
import { privilegeCases } from "./privileges.ts";
import { processCases } from "./processes.ts";
import { pythonCases } from "./python.ts";
import { restingCases } from "./resting.ts";
import { snapshotCases } from "./snapshots.ts";

/** Every promise that a driver makes, in the order in which they are printed. */
export const cases: readonly Case[] = [
  ...execCases,
  ...processCases,
  ...floodCases,
  ...pythonCases,
  ...languageCases,
  ...contextCases,
  ...fileCases,
  ...directoryCases,
  ...lifecycleCases,
  ...leftoverCases,
  ...pauseCases,
  ...checkpointCases,
  ...restingCases,
  ...snapshotCases,
  ...limitCases,
  ...networkCases,
  ...isolationCases,
  ...privilegeCases,
  ...badInputCases,
];
