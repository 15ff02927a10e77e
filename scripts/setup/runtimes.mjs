// The container runtimes: gVisor's runsc as a package of the host, runC beside the host's own.
import {
  chmodSync,
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  renameSync,
  rmSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { Failure, must, run } from "../terminal/run-process.mjs";
import { architecture } from "./host.mjs";
import { oldestGvisor, runcHasKnownEscape } from "./known-escapes.mjs";

/** The day of the oldest release that the driver takes. */
export const wantedRunsc = oldestGvisor.split(".")[0];
/** Where the runC of Debian's next release goes, with its own C library. */
export const runcPrefix = "/opt/cofferdam";
const loaders = { amd64: "ld-linux-x86-64.so.2", arm64: "ld-linux-aarch64.so.1" };

/** The version of the host's runsc when it is new enough, else `undefined`. */
export async function goodRunsc() {
  const { code, stdout } = await run(["runsc", "--version"]);
  const date = /\b(20\d{6})\b/.exec(stdout)?.[1];
  return code === 0 && date !== undefined && date >= wantedRunsc ? date : undefined;
}

/** Whether a package's version, as `0.0~20240729.0-4`, is new enough. */
export function isGoodRunscPackage(version) {
  const date = /\b(20\d{6})\b/.exec(version ?? "")?.[1];
  return date !== undefined && date >= wantedRunsc;
}

/** `{ path, version }` of a runC without known escapes: below the prefix, or the host's own; else `undefined`. */
export async function goodRunc(prefix) {
  for (const path of [join(prefix, "runc/runc"), "runc"]) {
    const version = await runcVersion(path);
    if (version !== undefined && !runcHasKnownEscape(version)) return { path, version };
  }
  return undefined;
}

async function runcVersion(path) {
  const { code, stdout } = await run([path, "--version"]);
  return code === 0 ? /^runc version (\S+)/m.exec(stdout)?.[1] : undefined;
}

/** Unpacks the packages of runC, libc6 and libseccomp2 and puts what runC needs below the prefix, in one step. */
export async function installRunc(packages, prefix) {
  mkdirSync(prefix, { recursive: true });
  const work = mkdtempSync(join(prefix, ".runc-"));
  try {
    for (const file of packages)
      await must(["dpkg-deb", "--extract", file, join(work, "unpacked")]);
    const made = await assembleRunc(work, join(prefix, "runc/lib"));
    const version = await versionOfUnplaced(made);
    if (runcHasKnownEscape(version))
      throw new Failure(`Debian's newest runC is ${version}, which has a known escape.`);
    replaceDirectory(made, join(prefix, "runc"), work);
    return version;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** Lays out the program and its libraries so that it runs once `libraryPath` is where they are. */
async function assembleRunc(work, libraryPath) {
  const unpacked = join(work, "unpacked");
  const made = join(work, "runc");
  const loader = loaders[architecture()];
  mkdirSync(join(made, "lib"), { recursive: true });
  const libraries = [loader, "libc.so.6", "libseccomp.so.2"];
  for (const name of libraries) copyFileSync(fileBelow(unpacked, name), join(made, "lib", name));
  copyFileSync(fileBelow(unpacked, "runc"), join(made, "runc"));
  chmodSync(join(made, "lib", loader), 0o755);
  chmodSync(join(made, "runc"), 0o755);
  chmodSync(made, 0o755);
  const bound = ["--set-interpreter", join(libraryPath, loader), "--set-rpath", libraryPath];
  await must(["patchelf", ...bound, join(made, "runc")]);
  return made;
}

/** The version that a runC says which is not yet where it looks for its libraries. */
async function versionOfUnplaced(made) {
  const lib = join(made, "lib");
  const loader = join(lib, loaders[architecture()]);
  const started = [loader, "--library-path", lib, join(made, "runc"), "--version"];
  const { stdout, lines } = await run(started);
  const version = /^runc version (\S+)/m.exec(stdout)?.[1];
  if (version === undefined)
    throw new Failure(`The runC that was unpacked does not start here:\n${lines.join("\n")}`);
  return version;
}

/** The regular file that a name of a package means, through its links. */
function fileBelow(directory, name) {
  const entries = readdirSync(directory, { recursive: true, withFileTypes: true });
  const named = entries.filter(
    (entry) =>
      entry.name === name &&
      !entry.isDirectory() &&
      /\/(s?bin|lib(64)?)(\/|$)/.test(entry.parentPath ?? entry.path),
  );
  const found = named.find((entry) => entry.isFile()) ?? named[0];
  if (found === undefined) throw new Failure(`The packages that were downloaded hold no ${name}.`);
  const real = realpathSync(join(found.parentPath ?? found.path, name));
  if (!real.startsWith(`${realpathSync(directory)}/`) || !lstatSync(real).isFile())
    throw new Failure(`${name} leads out of the package that holds it.`);
  return real;
}

function replaceDirectory(made, place, work) {
  if (existsSync(place)) renameSync(place, join(work, "old"));
  mkdirSync(dirname(place), { recursive: true });
  renameSync(made, place);
}
