import { execFile } from "node:child_process";
import { access, constants } from "node:fs/promises";
import { promisify } from "node:util";
import type { RawRuntime } from "../bench/raw-runtime.ts";

const execute = promisify(execFile);

/** How each local driver's runtime is called without us, the first program that exists. */
const runtimes: Readonly<
  Record<string, { programs: readonly string[]; options: readonly string[] }>
> = {
  runc: { programs: ["/opt/cofferdam/runc/runc", "runc"], options: [] },
  gvisor: {
    programs: ["runsc"],
    options: ["--platform=systrap", "--network=none", "--ignore-cgroups", "--overlay2=none"],
  },
};

/** The raw runtime under a driver; `undefined` for a driver that stands on none, or on one that is not installed. */
export async function rawRuntime(
  driver: string,
  rootOf: RawRuntime["rootOf"],
): Promise<RawRuntime | undefined> {
  const known = Object.hasOwn(runtimes, driver) ? runtimes[driver] : undefined;
  if (known === undefined) return undefined;
  for (const program of known.programs) {
    const version = await versionOf(program);
    if (version !== undefined)
      return {
        name: program.slice(program.lastIndexOf("/") + 1),
        version,
        command: [program, ...known.options],
        stateOption: "--root",
        rootOf,
      };
  }
  return undefined;
}

async function versionOf(program: string): Promise<string | undefined> {
  if (program.startsWith("/") && !(await isExecutable(program))) return undefined;
  try {
    const { stdout } = await execute(program, ["--version"]);
    return /version (?:release-)?(\S+)/.exec(stdout)?.[1];
  } catch (cause) {
    if (isMissing(cause)) return undefined;
    throw cause;
  }
}

async function isExecutable(program: string): Promise<boolean> {
  try {
    await access(program, constants.X_OK);
    return true;
  } catch (cause) {
    if (isMissing(cause)) return false;
    throw cause;
  }
}

function isMissing(cause: unknown): boolean {
  return cause instanceof Error && "code" in cause && cause.code === "ENOENT";
}
