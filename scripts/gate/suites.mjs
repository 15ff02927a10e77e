// Suites of tests: Go's and vitest's. Each gives a tally.
import process, { env } from "node:process";
import { join } from "node:path";
import { dim, green, readableMs, red, yellow } from "../terminal/paint.mjs";
import { run } from "../terminal/run-process.mjs";
import { say } from "../terminal/stage.mjs";
import { findGo } from "../setup/go.mjs";
import { root } from "../setup/root.mjs";
import { goEvents } from "./go-events.mjs";
import { countsOf, newTally } from "./tally.mjs";
import { withStateDir, withTemplateRoot } from "./templates.mjs";

const marks = { passed: green("passed"), failed: red("failed"), skipped: yellow("not run") };

/**
 * Runs a project of vitest.config.ts. `aloud` writes a line for each test, for suites that take minutes; `onLine` is given what
 * the tests themselves print.
 */
export async function vitestSuite(project, { aloud, detail, environment, onLine }) {
  const tally = newTally();
  const { code, lines } = await run(
    [process.execPath, join(root, "scripts/gate/run-vitest.mjs"), project],
    {
      cwd: root,
      environment,
      onLine,
      onMessage: ({ name, state, note, tookMs, errors }) => {
        tally.add({ name, state, words: state === "failed" ? errors.join("\n") : note });
        if (aloud) sayTest({ name, state, note, tookMs });
        else detail(countsOf(tally), { often: true });
      },
    },
  );
  const isEmpty = tally.passed.length + tally.failures.length === 0;
  if ((code !== 0 && tally.failures.length === 0) || isEmpty)
    tally.add({
      name: project,
      state: "failed",
      words: `vitest ended with ${code}:\n${lines.join("\n")}`,
    });
  return tally;
}

function sayTest({ name, state, note, tookMs }) {
  const reason = note === undefined ? "" : `: ${note}`;
  say(`  ${marks[state] ?? state}  ${name} ${dim(`(${readableMs(tookMs)})`)}${dim(reason)}`);
}

/**
 * The conformance suite, in a state directory of its own, so that no other sandbox of this host is in its way. A driver that
 * `REQUIRE_DRIVERS` names and of which no case passed is a failure.
 */
export async function conformanceSuite(options) {
  const tally = await withStateDir((stateDir) =>
    vitestSuite("conformance", { ...options, environment: { COFFERDAM_STATE_DIR: stateDir } }),
  );
  const required = (env.REQUIRE_DRIVERS ?? "").split(",").filter((name) => name !== "");
  for (const driver of required) {
    if (!tally.passed.some((name) => isOf(driver, name)))
      tally.add({
        name: driver,
        state: "failed",
        words: "it is required, and no case of it passed",
      });
  }
  return tally;
}

/** Whether a test is of the driver itself, or of the driver over another. */
function isOf(driver, name) {
  return name.startsWith(`${driver} > `) || name.startsWith(`${driver} over `);
}

/** Runs the tests of the agent and the supervisor; kernels start in the template that they are made for. */
export function goSuite({ detail }) {
  return withTemplateRoot(({ prefix, path }) =>
    goTests({ detail, prefix, environment: { COFFERDAM_TEST_ROOTFS: path } }),
  );
}

async function goTests({ detail, environment, prefix }) {
  const tally = newTally();
  const { path } = await findGo();
  const events = goEvents(tally);
  const stray = [];
  const take = (line) => (line.startsWith("{") ? events.take(JSON.parse(line)) : stray.push(line));
  const command = [...prefix, path, "test", "-json", "./guest/...", "./supervisor/..."];
  const { code } = await run(command, {
    cwd: root,
    environment: { GOTOOLCHAIN: "local", CGO_ENABLED: "0", ...environment },
    onLine: (line) => {
      take(line);
      detail(countsOf(tally), { often: true });
    },
  });
  if (code !== 0 && tally.failures.length === 0)
    tally.add({
      name: "go test",
      state: "failed",
      words: stray.join("\n") || `ended with ${code}`,
    });
  return tally;
}
