import { readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { packageRoot } from "../../images/package-root.ts";

const escape = z.strictObject({
  cve: z.string(),
  what: z.string(),
  /** First fixed version of each branch that has a fix; a later branch has it from its beginning. */
  fixed: z.array(z.string()).min(1),
  source: z.url(),
});
const runtime = z.strictObject({
  minimum: z.strictObject({ version: z.string(), why: z.string() }).optional(),
  escapes: z.array(escape),
});
const escapesSchema = z.record(z.string(), runtime);

/** What is known of one runtime. */
interface KnownRuntime {
  readonly minimum?: { readonly version: string; readonly why: string } | undefined;
  readonly escapes: readonly {
    readonly cve: string;
    readonly what: string;
    readonly fixed: readonly string[];
    readonly source: string;
  }[];
}

/** A version as numbers, compared from the left. A candidate for a release comes before it. */
type Version = readonly [
  major: number,
  minor: number,
  patch: number,
  candidate: number,
  step: number,
];

/** What the gate says of a version. */
export interface Verdict {
  /** CVE of each known escape that the version has. */
  readonly escapes: readonly string[];
  /** Why the version is refused, as a sentence without a full stop; `undefined`: it is not. */
  readonly reason: string | undefined;
}

/** Text of a data file beside this one; it is read by set-up, too, so it stays in the source. */
const listFile = join(packageRoot, "src/drivers/local/known-escapes.json");

/** The list of known escapes. Throws when the package is damaged: without the list nothing may start. */
export function knownEscapes(): Readonly<Record<string, KnownRuntime>> {
  return escapesSchema.parse(JSON.parse(readFileSync(listFile, "utf8")));
}

/** Judges a runtime's version as it prints it. An unreadable one is refused. */
export function judgeVersion(runtimeName: string, version: string): Verdict {
  const known = knownEscapes()[runtimeName];
  const parsed = parseVersion(version);
  if (known === undefined || parsed === undefined)
    return { escapes: [], reason: `the version ${JSON.stringify(version)} cannot be judged` };
  const escapes = known.escapes.filter(({ fixed }) => !hasFix(parsed, fixed));
  if (escapes.length > 0) {
    const list = escapes.map(({ cve, what }) => `${cve} (${what})`).join(", ");
    return {
      escapes: escapes.map(({ cve }) => cve),
      reason: `version ${version} has known escapes: ${list}`,
    };
  }
  const { minimum } = known;
  if (minimum !== undefined && isOlder(parsed, minimum.version))
    return { escapes: [], reason: `version ${version} is too old: ${minimum.why}` };
  return { escapes: [], reason: undefined };
}

function isOlder(version: Version, than: string): boolean {
  const parsed = parseVersion(than);
  return parsed === undefined || compare(version, parsed) < 0;
}

/** Whether the branch of the version got the fix at or before it, or the version's branch is newer than every fixed one. */
function hasFix(version: Version, fixed: readonly string[]): boolean {
  const fixes = fixed.map(parseVersion).filter((each) => each !== undefined);
  const own = fixes.find(([major, minor]) => major === version[0] && minor === version[1]);
  if (own !== undefined) return compare(version, own) >= 0;
  return fixes.every((fix) => compare(version, fix) > 0);
}

function compare(left: Version, right: Version): number {
  for (const [index, number] of left.entries()) {
    const difference = number - (right[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

const release = /^(\d+)\.(\d+)\.(\d+)(?:-(rc)\.?(\d+)|-[\w.]*)?(?:[+~].*)?$/;
const dated = /^(?:release-|0\.0~)?(20\d{6})\.(\d+)(?:[-+].*)?$/;

/** `1.3.6+ds1`, `1.0.0-rc95`; or a date as gVisor has it: `20240729.0`, `release-20240729.0`, `0.0~20240729.0`. */
function parseVersion(text: string): Version | undefined {
  const date = dated.exec(text);
  if (date !== null) return [Number(date[1]), 0, Number(date[2]), 1, 0];
  const parts = release.exec(text);
  if (parts === null) return undefined;
  const candidate = parts[4] === undefined ? 1 : 0;
  return [
    Number(parts[1]),
    Number(parts[2]),
    Number(parts[3]),
    candidate,
    candidate === 0 ? Number(parts[5]) : 0,
  ];
}
