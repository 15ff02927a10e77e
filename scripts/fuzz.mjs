#!/usr/bin/env node
// Looks longer than the gate does for input that breaks a parser: Go's fuzz targets and the property tests.
//
//   npm run fuzz [-- --seconds N]      N for each fuzz target, and N for all property tests together; default 60
import { readFileSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import { findGo } from "./setup/go.mjs";
import { root } from "./setup/root.mjs";
import { setUp } from "./setup/set-up.mjs";
import { program } from "./terminal/program.mjs";
import { Failure, run } from "./terminal/run-process.mjs";
import { heading, say, stage } from "./terminal/stage.mjs";

await program(async () => {
  const { values } = parseArgs({ options: { seconds: { type: "string", default: "60" } } });
  const seconds = Number(values.seconds);
  if (!Number.isInteger(seconds) || seconds < 1)
    throw new Failure(`--seconds takes a whole number from 1, not ${values.seconds}.`);
  await setUp({ parts: "build", again: "npm run fuzz" });
  heading("Fuzzing");
  const failed = [];
  for (const target of fuzzTargets())
    await attempt(target.name, failed, (detail) => fuzz(target, seconds, detail));
  await attempt("property tests", failed, (detail) => repeatProperties(seconds, detail));
  if (failed.length > 0) say(`\nfound something: ${failed.join(", ")}`);
  return failed.length === 0 ? 0 : 1;
});

async function attempt(name, failed, work) {
  await stage(name, async (detail) => {
    const { broken, note } = await work(detail);
    if (broken === "") return note;
    failed.push(name);
    say(broken);
    return { state: "failed", note };
  });
}

/** `{ name, directory }` of each function that Go can fuzz. */
function fuzzTargets() {
  const tests = ["guest", "supervisor"].flatMap((below) =>
    filesBelow(below).filter((file) => file.endsWith("_test.go")),
  );
  return tests.flatMap((file) =>
    [...readFileSync(join(root, file), "utf8").matchAll(/^func (Fuzz\w+)\(/gm)].map(([, name]) => ({
      name: `${dirname(file)} ${name}`,
      target: name,
      directory: dirname(file),
    })),
  );
}

function filesBelow(directory) {
  return readdirSync(join(root, directory), { recursive: true, encoding: "utf8" }).map(
    (name) => `${directory}/${name}`,
  );
}

async function fuzz({ target, directory }, seconds, detail) {
  const { path } = await findGo();
  const flags = ["-run=^$", `-fuzz=^${target}$`, `-fuzztime=${seconds}s`];
  const { code, lines } = await run([path, "test", ...flags, `./${directory}`], {
    cwd: root,
    environment: { GOTOOLCHAIN: "local", CGO_ENABLED: "0" },
    onLine: (line) => detail(line, { often: true }),
  });
  const last = lines.findLast((line) => line.includes("execs:")) ?? "";
  return { broken: code === 0 ? "" : lines.join("\n"), note: last.replace(/^fuzz: /, "") };
}

/** Runs the tests that use fast-check again and again, each time from another seed. */
async function repeatProperties(seconds, detail) {
  const files = ["src", "test"]
    .flatMap(filesBelow)
    .filter((file) => file.endsWith(".test.ts"))
    .filter((file) => readFileSync(join(root, file), "utf8").includes('"fast-check"'));
  const vitest = [process.execPath, join(root, "node_modules/vitest/vitest.mjs"), "run", ...files];
  if (files.length === 0) throw new Failure("No test uses fast-check.");
  const until = performance.now() + seconds * 1000;
  let rounds = 0;
  while (performance.now() < until) {
    const { code, lines } = await run(vitest, { cwd: root });
    if (code !== 0) return { broken: lines.join("\n"), note: `round ${rounds + 1}` };
    rounds += 1;
    detail(`${rounds} rounds`, { often: true });
  }
  return { broken: "", note: `${files.length} files, ${rounds} rounds` };
}
