// The drivers' gate, from the same list, for a set-up that runs before anything is compiled.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "./root.mjs";

const listFile = join(root, "src/drivers/local/known-escapes.json");
const known = JSON.parse(readFileSync(listFile, "utf8"));

/** The oldest gVisor that the driver takes, as `20240729.0`. */
export const oldestGvisor = known.gvisor.minimum.version;

/** The oldest QEMU that the driver takes, as `8.2.0`. */
export const oldestQemu = known.qemu.minimum.version;

/** Whether a runC, by the version that it prints, has a known escape. One that cannot be read counts as if. */
export function runcHasKnownEscape(version) {
  const parsed = parse(version);
  return parsed === undefined || known.runc.escapes.some(({ fixed }) => !hasFix(parsed, fixed));
}

/** Fixed in its own branch at or before it, or of a branch that is newer than every fixed one. */
function hasFix(version, fixed) {
  const fixes = fixed.map(parse);
  const own = fixes.find((fix) => fix[0] === version[0] && fix[1] === version[1]);
  if (own !== undefined) return compare(version, own) >= 0;
  return fixes.every((fix) => compare(version, fix) > 0);
}

/** `1.4.0-rc.3+ds1` as numbers; a candidate comes before its release. */
function parse(text) {
  const parts = /^(\d+)\.(\d+)\.(\d+)(?:-rc\.?(\d+))?(?:[+~-].*)?$/.exec(text);
  if (parts === null) return undefined;
  const [, major, minor, patch, candidate] = parts;
  return [major, minor, patch, candidate ?? Infinity].map(Number);
}

function compare(left, right) {
  const at = left.findIndex((number, index) => number !== right[index]);
  return at === -1 ? 0 : left[at] - right[at];
}
