import { realpathSync, statSync } from "node:fs";
import { env } from "node:process";
import { SandboxError } from "../../core/errors.ts";
import { type Runtime, runtimeFinder } from "../local/runtime.ts";

/** Firecracker and the jailer that belongs to it. */
export interface Programs {
  readonly firecracker: string;
  readonly jailer: string;
  readonly version: string;
  /** Tells the two from any others, an update of the same version too. */
  readonly signature: string;
}

const mend =
  "take firecracker and jailer of one release (github.com/firecracker-microvm/firecracker/releases) " +
  "into /usr/local/bin, or name them by FIRECRACKER_BIN and JAILER_BIN";

const find = {
  firecracker: finder("firecracker", "FIRECRACKER_BIN", /^Firecracker v(\S+)/m),
  jailer: finder("jailer", "JAILER_BIN", /^Jailer v(\S+)/m),
};

/** Throws `unavailable` with the mend: not installed, of two releases, with a known escape; `unsupported` on another processor. */
export async function findPrograms(): Promise<Programs> {
  if (process.arch !== "x64")
    throw new SandboxError(
      "unsupported",
      `the firecracker driver does not run on ${process.arch} yet`,
      { mend: "use a driver that shares the host's kernel" },
    );
  const [engine, jail] = await Promise.all([find.firecracker(), find.jailer()]);
  if (engine.version !== jail.version)
    throw new SandboxError(
      "unavailable",
      `${engine.path} is ${engine.version}, and ${jail.path} is ${jail.version}`,
      { mend },
    );
  const paths = [engine.path, jail.path].map((path) => realpathSync(path));
  const [firecracker = "", jailer = ""] = paths;
  const signature = [engine.version, ...paths.map(signatureOf)].join(" ");
  return { firecracker, jailer, version: engine.version, signature };
}

/** A program that a variable names, or that lies where programs do. */
function finder(name: string, variable: string, version: RegExp): () => Promise<Runtime> {
  const named = env[variable];
  const candidates = named === undefined || named === "" ? [name] : [named];
  return runtimeFinder({
    driver: "firecracker",
    program: { candidates, version, mend },
    allowKnownEscapes: false,
  });
}

function signatureOf(path: string): string {
  const { ino, size, mtimeMs, ctimeMs } = statSync(path);
  return [ino, size, mtimeMs, ctimeMs].join(" ");
}
