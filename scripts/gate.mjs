#!/usr/bin/env node
// The gate: set-up, then everything that must hold. Ends with the line `N passed, N failed`.
//
//   npm test [-- --only NAME,NAME]
//
// --only runs some checks or suites, after as much of the set-up as they need: format, lint, types, law, dead-code, package,
// go-format, go-vet, go, unit, security, templates, cli, server, chaos, examples, conformance. REQUIRE_DRIVERS=runc,gvisor makes an absent driver a
// failure.
import { stdout } from "node:process";
import { parseArgs } from "node:util";
import { staticChecks } from "./gate/static-checks.mjs";
import { conformanceSuite, goSuite, vitestSuite } from "./gate/suites.mjs";
import { countsOf, newTally } from "./gate/tally.mjs";
import { setUp } from "./setup/set-up.mjs";
import { readableMs, red, yellow } from "./terminal/paint.mjs";
import { program } from "./terminal/program.mjs";
import { Failure } from "./terminal/run-process.mjs";
import { heading, say, stage } from "./terminal/stage.mjs";

const checksAtOnce = 2;
/** Names of what did not run, for each reason. */
const shownNotRun = 5;
const needsPackages = new Set(["format", "lint", "types", "law", "dead-code"]);
const needsBuild = new Set(["package", "go-format", "go-vet", "unit", "security"]);
const suites = [
  { name: "go", title: "agent and supervisor", run: (detail) => goSuite({ detail }) },
  { name: "unit", title: "unit", run: (detail) => vitestSuite("unit", { detail }) },
  { name: "security", title: "security", run: (detail) => vitestSuite("security", { detail }) },
  { name: "templates", title: "templates", run: (detail) => vitestSuite("templates", { detail }) },
  { name: "cli", title: "command line", run: (detail) => vitestSuite("cli", { detail }) },
  { name: "server", title: "server", run: (detail) => vitestSuite("server", { detail }) },
  { name: "chaos", title: "chaos", run: (detail) => vitestSuite("chaos", { detail, onLine: say }) },
  { name: "examples", title: "examples", run: (detail) => vitestSuite("examples", { detail }) },
  {
    name: "conformance",
    title: "conformance",
    run: (detail) => conformanceSuite({ detail, aloud: true }),
  },
];

await program(async () => {
  const begun = performance.now();
  const { values } = parseArgs({ options: { only: { type: "string" } } });
  const chosen = chosenNames(values.only);
  await setUp({ parts: partsFor(chosen), tests: testNeeds(chosen), again: "npm test" });
  const tally = newTally();
  await runChecks(
    staticChecks.filter(({ name }) => chosen.has(name)),
    tally,
  );
  for (const suite of suites) if (chosen.has(suite.name)) await runSuite(suite, tally);
  report(tally, performance.now() - begun);
  stdout.write(`${tally.passed.length} passed, ${tally.failures.length} failed\n`);
  return tally.failures.length === 0 ? 0 : 1;
});

function chosenNames(only) {
  const known = [...staticChecks, ...suites].map(({ name }) => name);
  const chosen = only === undefined ? known : only.split(",");
  const unknown = chosen.filter((name) => !known.includes(name));
  if (unknown.length > 0)
    throw new Failure(`There is no check ${unknown.join(", ")}; there are ${known.join(", ")}.`);
  return new Set(chosen);
}

/** How much of the set-up the chosen checks need. */
function partsFor(chosen) {
  const names = [...chosen];
  if (names.every((name) => needsPackages.has(name))) return "packages";
  return names.every((name) => needsPackages.has(name) || needsBuild.has(name)) ? "build" : "host";
}

/** What the chosen suites need beyond what users of Cofferdam do. */
function testNeeds(chosen) {
  return new Set([
    ...(chosen.has("unit") ? ["postgresql"] : []),
    ...(chosen.has("server") ? ["clients"] : []),
    ...(chosen.has("conformance") ? ["engine"] : []),
  ]);
}

async function runChecks(checks, tally) {
  if (checks.length > 0) heading("Checks");
  const waiting = [...checks];
  const work = async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift())
      await runCheck(next, tally);
  };
  await Promise.all(Array.from({ length: checksAtOnce }, work));
}

async function runCheck({ name, title, check }, tally) {
  await stage(title, async () => {
    const wrong = await check();
    tally.add({ name, state: wrong === "" ? "passed" : "failed", words: wrong });
    if (wrong === "") return "";
    say(wrong);
    return { state: "failed", note: "see above" };
  });
}

async function runSuite({ title, run }, tally) {
  heading(`Tests: ${title}`);
  await stage(title, async (detail) => {
    const found = await run(detail);
    tally.join(found);
    for (const { name, words } of found.failures) say(`${red("failed")} ${name}\n${words}\n`);
    return { state: found.failures.length === 0 ? "done" : "failed", note: countsOf(found) };
  });
}

function report({ failures, notRun }, tookMs) {
  heading("Result");
  for (const [reason, names] of byReason(notRun)) {
    say(`${yellow("not run")}: ${reason}`);
    for (const name of names.slice(0, shownNotRun)) say(`  ${name}`);
    if (names.length > shownNotRun) say(`  and ${names.length - shownNotRun} more`);
  }
  for (const { name } of failures) say(`${red("failed")} ${name}`);
  say(`took ${readableMs(tookMs)}`);
}

function byReason(notRun) {
  const reasons = new Map();
  for (const { name, words } of notRun) {
    const reason = words.replace(/^not[ -]run: /, "");
    reasons.set(reason, [...(reasons.get(reason) ?? []), name]);
  }
  return reasons;
}
