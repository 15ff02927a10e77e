// What `go test -json` says, as ends of tests.

const states = { pass: "passed", fail: "failed", skip: "skipped" };
const keptLines = 80;

/** Takes events and adds to a tally: a test with tests inside is told by them, and a package by its tests. */
export function goEvents(tally) {
  const said = new Map();
  const parents = new Set();
  const failedInside = (start) => tally.failures.some(({ name }) => name.startsWith(start));
  const isToldBefore = (name, state) => {
    if (parents.has(name)) return state !== "failed" || failedInside(`${name}/`);
    return !name.includes(" ") && (state !== "failed" || failedInside(`${name} `));
  };
  return {
    take({ Action, Package, ImportPath, Test, Output }) {
      const name = [Package ?? ImportPath, Test].filter((part) => part !== undefined).join(" ");
      if (Output !== undefined)
        said.set(name, [...(said.get(name) ?? []), Output].slice(-keptLines));
      if (Test?.includes("/")) parents.add(name.slice(0, name.lastIndexOf("/")));
      const state = states[Action];
      if (state === undefined || isToldBefore(name, state)) return;
      const words = (said.get(name) ?? []).join("").trim();
      tally.add({ name, state, words: state === "skipped" ? skipReason(words) : words });
    },
  };
}

/** What a test said when it skipped itself, without Go's own lines. */
function skipReason(words) {
  const lines = words.split("\n").filter((line) => !/^\s*(===|---)/.test(line));
  return lines
    .map((line) => line.trim().replace(/^\S+\.go:\d+: /, ""))
    .join(" ")
    .slice(0, 200);
}
