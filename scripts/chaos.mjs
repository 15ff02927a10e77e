#!/usr/bin/env node
// Kills the server at random instants under load, for as long as asked, and looks for what is lost or left.
//
//   npm run chaos [-- --rounds N] [--seed N]      default 50 rounds from a new seed, which is printed
import process from "node:process";
import { parseArgs } from "node:util";
import { vitestSuite } from "./gate/suites.mjs";
import { countsOf } from "./gate/tally.mjs";
import { setUp } from "./setup/set-up.mjs";
import { program } from "./terminal/program.mjs";
import { Failure } from "./terminal/run-process.mjs";
import { heading, say, stage } from "./terminal/stage.mjs";

await program(async () => {
  const { values } = parseArgs({
    options: { rounds: { type: "string", default: "50" }, seed: { type: "string" } },
  });
  for (const [name, value] of Object.entries(values))
    if (!/^[1-9][0-9]{0,8}$/.test(value))
      throw new Failure(`--${name} takes a whole number from 1, not ${value}.`);
  await setUp({ again: "npm run chaos" });
  heading("Chaos");
  const { rounds, seed = String(process.pid + (Date.now() % 1_000_000)) } = values;
  return stage("rounds", async (detail) => {
    const environment = { CHAOS_ROUNDS: rounds, CHAOS_SEED: seed };
    const found = await vitestSuite("chaos", { detail, environment, onLine: say });
    for (const { name, words } of found.failures) say(`failed ${name}\n${words}`);
    return { state: found.failures.length === 0 ? "done" : "failed", note: countsOf(found), found };
  }).then(({ found }) => (found.failures.length === 0 ? 0 : 1));
});
