#!/usr/bin/env node
// Brings this host and this checkout to where `npm run quickstart` and `npm test` work. Idempotent.
//
//   node scripts/setup.mjs [--only packages|build|host] [--prefix DIRECTORY] [--state-dir DIRECTORY]
//
// --only stops after Node's packages, or after the compiled programs as well; the default is everything.
// --prefix says where runC goes (default /opt/cofferdam), --state-dir where templates go (default /var/lib/cofferdam).
import { parseArgs } from "node:util";
import { setUp } from "./setup/set-up.mjs";
import { program } from "./terminal/program.mjs";
import { Failure } from "./terminal/run-process.mjs";

await program(async () => {
  const { values } = parseArgs({
    options: {
      only: { type: "string", default: "host" },
      prefix: { type: "string" },
      "state-dir": { type: "string" },
    },
  });
  const { only, prefix, "state-dir": stateDir } = values;
  if (!["packages", "build", "host"].includes(only))
    throw new Failure(`--only takes packages, build or host, not ${only}.`);
  await setUp({ parts: only, prefix, stateDir, again: "npm run setup" });
});
