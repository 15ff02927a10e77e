#!/usr/bin/env node
// Runs the conformance suite against the drivers of this host and prints docs/drivers.md from it.
//
//   npm run conformance [-- --driver NAME,NAME] [--topic NAME,NAME] [--case WORDS] [--state-dir DIRECTORY] [--page]
//
// The driver e2b is run against a server of this host's own, docker against an Engine of its own. With --driver, only these
// run and the page is left as it is; --topic and --case, which is part of a case's name, leave out others, and
// --page writes the page to standard output.
import { writeFileSync } from "node:fs";
import { cpus, release } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import process, { env } from "node:process";
import { parseArgs } from "node:util";
import { distribution } from "./setup/host.mjs";
import { root } from "./setup/root.mjs";
import { setUp } from "./setup/set-up.mjs";
import { green, readableMs, red, yellow } from "./terminal/paint.mjs";
import { program } from "./terminal/program.mjs";
import { Failure } from "./terminal/run-process.mjs";
import { heading, say } from "./terminal/stage.mjs";
import { containerNames, startEngine } from "./conformance/engine.mjs";
import { withServer } from "./conformance/server.mjs";

/** Drivers behind a server that the driver e2b is run over: what differs is the way, not what holds the machine. */
const servedDrivers = ["gvisor", "runc"];
const marks = { passed: green, refused: green, "not-run": yellow, failed: red };

/** What of the suite is run. In the lab, whose processors are slow, one case at a time. */
const wanted = env.COFFERDAM_LAB === undefined ? {} : { concurrency: 1 };

await program(async () => {
  const values = words();
  const tests = new Set(["engine"]);
  await setUp({ again: "npm run conformance", stateDir: values["state-dir"], tests });
  const { driverNames, defaultStateDir } = await built("index.js");
  const names = values.driver?.split(",") ?? [...driverNames, "e2b"];
  const stateDir = values["state-dir"] ?? defaultStateDir;
  const columns = [];
  for (const name of names) columns.push(...(await columnsOf(name, stateDir)));
  const failed = columns.flatMap(({ outcomes }) =>
    outcomes.filter((each) => each.status === "failed"),
  );
  for (const { case: each, error } of failed)
    say(`\n${red("failed")} ${each.topic}: ${each.name}\n${error?.stack ?? error}`);
  if (values.page || values.driver === undefined) await printPage(columns, values.page);
  return failed.length === 0 ? 0 : 1;
});

function words() {
  const text = { type: "string" };
  const page = { type: "boolean", default: false };
  const options = { driver: text, topic: text, case: text, "state-dir": text, page };
  const { values } = parseArgs({ options });
  wanted.topics = values.topic?.split(",");
  wanted.filter = values.case;
  return values;
}

/** To standard output, or where it is kept. */
async function printPage(columns, toOutput) {
  const { driversPage } = await built("conformance/print.js");
  const page = driversPage(columns, hostInWords());
  if (toOutput) process.stdout.write(page);
  else {
    writeFileSync(join(root, "docs/drivers.md"), page);
    say("\ndocs/drivers.md is printed");
  }
}

/** A module of the library as it ships. */
function built(file) {
  return import(builtUrl(file));
}

function builtUrl(file) {
  return pathToFileURL(join(root, "dist", file)).href;
}

async function columnsOf(name, stateDir) {
  if (name === "e2b") return servedColumns();
  return name === "docker" ? engineColumns(stateDir) : [await localColumn(name, stateDir)];
}

async function localColumn(name, stateDir) {
  const { builtinDrivers } = await built("drivers/builtin.js");
  if (!Object.hasOwn(builtinDrivers, name)) throw new Failure(`There is no driver ${name}.`);
  const driver = await builtinDrivers[name]({ stateDir });
  return columnOf(name, driver, { stateDir, otherProcess: recipe("builtin", name, { stateDir }) });
}

/** The driver docker with runC and with gVisor, over an Engine that is gone afterwards. */
async function engineColumns(stateDir) {
  const { docker } = await built("drivers/docker/index.js");
  const engine = await startEngine();
  try {
    const columns = [];
    for (const [name, more] of [
      ["docker", {}],
      ["docker with runsc", { runtime: "runsc" }],
    ]) {
      const options = { stateDir, socket: engine.socket, ...more };
      const driver = docker(options);
      await giveTemplates(driver);
      const otherNames = containerNames(engine.socket);
      const otherProcess = engineRecipe(options);
      columns.push(await columnOf(name, driver, { stateDir, otherNames, otherProcess }));
    }
    return columns;
  } finally {
    await engine.end();
  }
}

/** A template goes over to the Engine with its first machine, which takes longer than a case may. */
async function giveTemplates(driver) {
  const { sandboxSpec } = await built("conformance/spec.js");
  for (const template of ["base", "code-interpreter"]) {
    const machine = await driver.create(sandboxSpec({ template }));
    await machine[Symbol.asyncDispose]();
  }
}

/** How another process of this host gets a driver of that Engine. */
function engineRecipe(options) {
  return {
    argv: [process.execPath, "--input-type=module", "-e"],
    prelude: [
      `const { docker } = await import(${JSON.stringify(builtUrl("drivers/docker/index.js"))});`,
      `const driver = docker(${JSON.stringify(options)});`,
    ].join("\n"),
    cwd: "/",
  };
}

/** The driver e2b over some drivers of this host, by way of a server that is gone afterwards. */
function servedColumns() {
  return withServer(async ({ apiUrl, apiKey, stateDir }) => {
    const { builtinDrivers, hostedDrivers } = await built("drivers/builtin.js");
    const columns = [];
    for (const behind of servedDrivers) {
      const e2b = { apiKey, apiUrl, leaseMs: 15_000, behind };
      const { isolation } = await builtinDrivers[behind]({ stateDir });
      const otherProcess = recipe("hosted", "e2b", { e2b });
      const driver = await hostedDrivers.e2b({ e2b });
      columns.push(
        await columnOf(`e2b over ${behind}`, driver, { stateDir, isolation, otherProcess }),
      );
    }
    return columns;
  });
}

async function columnOf(name, driver, options) {
  heading(`Conformance: ${name}`);
  const { runSuite } = await built("conformance/run-suite.js");
  const { isolation } = driver;
  const availability = await driver.probe();
  if (!availability.ok) {
    say(`${yellow("absent")} ${availability.reason}\n${availability.mend}`);
    return { driver: name, isolation, version: `absent: ${availability.reason}`, outcomes: [] };
  }
  const { patienceWith } = await built("conformance/patience.js");
  const patience = patienceWith(availability);
  const outcomes = [];
  for await (const outcome of runSuite(driver, { ...options, ...wanted, patience })) {
    outcomes.push(outcome);
    sayOutcome(outcome);
  }
  return { driver: name, isolation, version: availability.version, outcomes };
}

function sayOutcome({ case: each, status, reason, tookMs }) {
  const why = reason === undefined ? "" : `: ${reason.split("\n")[0]}`;
  say(`  ${marks[status](status)}  ${each.topic}: ${each.name} (${readableMs(tookMs)})${why}`);
}

/** How another process of this host gets the driver. */
function recipe(kind, name, options) {
  return {
    argv: [process.execPath, "--input-type=module", "-e"],
    prelude: [
      `const { ${kind}Drivers } = await import(${JSON.stringify(builtUrl("drivers/builtin.js"))});`,
      `const driver = await ${kind}Drivers[${JSON.stringify(name)}](${JSON.stringify(options)});`,
    ].join("\n"),
    cwd: "/",
  };
}

function hostInWords() {
  const kernel = release().split("-")[0];
  return `${distribution().name}, Linux ${kernel}, ${process.arch}, ${cpus().length} processors`;
}
