import { expect, test } from "vitest";
import { buildError } from "./build-error.ts";

test.each([
  ["E: You don't have enough free space in /var/cache/apt/archives/.", "disk-full"],
  ["tar: ./usr/bin/x: Cannot write: No space left on device", "disk-full"],
  ["unshare: failed to execute mmdebstrap: No such file or directory", "unavailable"],
  ["setpriv: failed to execute unshare: No such file or directory", "unavailable"],
  ["unshare: unshare failed: Operation not permitted", "denied"],
  ["E: Unable to locate package nonsuch", "invalid"],
  ["E: Failed to fetch http://mirror.example.org/x  Could not resolve host", "unavailable"],
  ["sh: 3: pip: not found", "exited"],
])("a build that ends with %j fails as %s, and says what mends it", (line, code) => {
  const error = buildError({ name: "mine" }, ["I: one thing", line, "E: run_chroot failed"]);
  expect(error.code).toBe(code);
  expect(code === "exited" ? error.message : error.mend).toBeTruthy();
});
