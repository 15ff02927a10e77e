import { SandboxError } from "../core/errors.ts";
import { diskFull } from "./file-errors.ts";
import type { ImagePlan } from "./plan.ts";

interface Failure {
  readonly seen: RegExp;
  readonly error: (line: string) => SandboxError;
}

/** What is read from the last lines of a build that failed; the first that matches wins. */
const failures: readonly Failure[] = [
  {
    seen: /No space left on device|not enough free space|don't have enough free space/i,
    error: () => diskFull("build a template"),
  },
  {
    seen: /failed to execute mmdebstrap|mmdebstrap: No such file/,
    error: () => missing("mmdebstrap"),
  },
  { seen: /failed to execute unshare/, error: () => missing("util-linux") },
  {
    seen: /unshare failed|Operation not permitted|must be (run as )?root/i,
    error: (line) =>
      new SandboxError("denied", `this host does not allow building: ${line}`, {
        mend: "run it as root on the host itself, not in an unprivileged container",
      }),
  },
  {
    seen: /Unable to locate package|has no installation candidate/,
    error: (line) =>
      new SandboxError("invalid", line.replace(/^E: /, ""), {
        field: "packages",
        mend: "look the package up at https://packages.debian.org",
      }),
  },
  {
    seen: /Temporary failure resolving|Could not (resolve|connect)|Failed to fetch|Network is unreachable|timed out/i,
    error: (line) =>
      new SandboxError("unavailable", `Debian's packages cannot be reached: ${line}`, {
        mend: "check the network, and that apt-get update works on this host",
      }),
  },
];

function missing(name: string): SandboxError {
  return new SandboxError("unavailable", `${name} is not installed`, {
    mend: `install it: apt-get install ${name}`,
  });
}

/** A build that failed, by what its last lines say. */
export function buildError(plan: Pick<ImagePlan, "name">, lines: readonly string[]): SandboxError {
  for (const { seen, error } of failures) {
    const line = lines.find((each) => seen.test(each));
    if (line !== undefined) return error(line);
  }
  const tail = lines.slice(-12).join("\n");
  return new SandboxError("exited", `building ${plan.name} failed:\n${tail}`, { field: "run" });
}
