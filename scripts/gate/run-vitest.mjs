// Runs one project of vitest.config.ts and tells its parent each test's end as a message.
//
//   node scripts/gate/run-vitest.mjs PROJECT      started by the gate, with a channel for messages
import process from "node:process";
import { startVitest } from "vitest/node";

const [project] = process.argv.slice(2);

/** `{ name, state, note, tookMs, errors }`, and as `{ name, state: "failed" }` a file that did not load. */
function tell(message) {
  process.send(message);
}

function wordsOf(errors) {
  return (errors ?? []).map((error) => error.stack ?? error.message).slice(0, 3);
}

const reporter = {
  onTestCaseResult(test) {
    const { state, note, errors } = test.result();
    const tookMs = test.diagnostic()?.duration ?? 0;
    tell({ name: test.fullName, state, note, tookMs, errors: wordsOf(errors) });
  },
  onTestSuiteResult(suite) {
    if (suite.errors().length > 0)
      tell({ name: suite.fullName, state: "failed", tookMs: 0, errors: wordsOf(suite.errors()) });
  },
  onTestModuleEnd(file) {
    const errors = wordsOf(file.errors());
    if (errors.length > 0)
      tell({ name: file.relativeModuleId, state: "failed", tookMs: 0, errors });
  },
  onTestRunEnd(_files, errors) {
    if (errors.length > 0)
      tell({
        name: `${project}: outside any test`,
        state: "failed",
        tookMs: 0,
        errors: wordsOf(errors),
      });
  },
};

const vitest = await startVitest("test", [], {
  project: [project],
  watch: false,
  reporters: [reporter],
});
await vitest.close();
process.disconnect();
