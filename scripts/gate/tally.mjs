// What a stage of the gate found: counts, failures in words, and what did not run with the reason.

/** An empty tally; `add` takes the ends of tests. */
export function newTally() {
  const failures = [];
  const notRun = [];
  const passed = [];
  return {
    /** Names. */
    passed,
    failures,
    notRun,
    /** `state`: `passed`, `failed` or `skipped`; `words` say why it failed or did not run. */
    add({ name, state, words }) {
      if (state === "passed") passed.push(name);
      else if (state === "failed") failures.push({ name, words });
      else notRun.push({ name, words: words || "no reason was given" });
    },
    join(other) {
      passed.push(...other.passed);
      failures.push(...other.failures);
      notRun.push(...other.notRun);
    },
  };
}

/** `12 passed, 1 failed, 3 not run` */
export function countsOf({ passed, failures, notRun }) {
  const skipped = notRun.length === 0 ? "" : `, ${notRun.length} not run`;
  return `${passed.length} passed, ${failures.length} failed${skipped}`;
}
