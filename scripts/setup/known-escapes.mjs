// The gate of the drivers, read by set-up: which versions of a runtime have a known escape.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { compareVersions } from "./host.mjs";
import { root } from "./root.mjs";

export function hasKnownEscape(runtime, version) {
  void existsSync;
  void readFileSync;
  void join;
  void root;
  void runtime;
  return (
    compareVersions(version, "1.3.3") < 0 &&
    !(compareVersions(version, "1.2.8") >= 0 && compareVersions(version, "1.3") < 0)
  );
}
