import { chown, mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SandboxError } from "../../core/errors.ts";
import { hostSources, keyring, sourceLines } from "../debian-sources.ts";
import { hostCommand } from "../host-command.ts";

/** What Debian's signed lists say of a package. */
export interface ArchivePackage {
  readonly name: string;
  readonly version: string;
  readonly source: string;
  readonly sha256: string;
}

/** One suite of Debian's archive with its security updates, read without touching the host's own package lists. */
export interface Archive extends AsyncDisposable {
  /** The newest of a name; `undefined`: there is none. */
  find(name: string): Promise<ArchivePackage | undefined>;
  /** What a package needs before anything else, by names. */
  dependencies(name: string): Promise<readonly string[]>;
  /** Fetches a package and returns its file, which is gone with the archive. */
  download(wanted: ArchivePackage): Promise<string>;
}

/** Opens a suite. apt checks Debian's signatures. Throws `unavailable` when it cannot be reached, `cancelled`. */
export async function openArchive(suite: string, signal?: AbortSignal): Promise<Archive> {
  const directory = await mkdtemp(join(tmpdir(), "cofferdam-kernel-"));
  const remove = (): Promise<void> => rm(directory, { recursive: true, force: true });
  try {
    const options = await privateApt(directory, suite, signal);
    const apt = async (program: string, ...words: string[]): Promise<readonly string[]> =>
      aptLines([program, ...options, ...words], { directory, signal });
    await apt("apt-get", "-q", "update");
    return {
      find: async (name) => parsePackage(await apt("apt-cache", "show", "--no-all-versions", name)),
      dependencies: async (name) =>
        (await apt("apt-cache", "depends", name)).flatMap((line) => {
          const found = /^\s*Depends: (\S+)$/.exec(line)?.[1];
          return found === undefined ? [] : [found];
        }),
      async download({ name, version }) {
        await apt("apt-get", "-q", "download", `${name}=${version}`);
        const file = (await readdir(directory)).find((each) => each.endsWith(".deb"));
        if (file === undefined) throw unreachable([`apt downloaded no ${name}`]);
        return join(directory, file);
      },
      [Symbol.asyncDispose]: remove,
    };
  } catch (error) {
    await remove();
    throw error;
  }
}

async function privateApt(
  directory: string,
  suite: string,
  signal: AbortSignal | undefined,
): Promise<readonly string[]> {
  const sources = await hostSources(signal);
  const facts = `deb [arch=amd64 lang=none target=Packages signed-by=${keyring}]`;
  const lines = sourceLines(suite, sources).map((line) => line.replace(/^deb \[[^\]]*\]/, facts));
  for (const below of ["lists/partial", "cache/archives/partial"])
    await mkdir(join(directory, below), { recursive: true });
  await writeFile(join(directory, "sources.list"), `${lines.join("\n")}\n`);
  await openToApt(directory);
  return Object.entries({
    "Dir::Etc::SourceList": join(directory, "sources.list"),
    "Dir::Etc::SourceParts": "/dev/null",
    "Dir::Etc::Preferences": "/dev/null",
    "Dir::Etc::PreferencesParts": "/dev/null",
    "Dir::State::Lists": join(directory, "lists"),
    "Dir::Cache": join(directory, "cache"),
    "APT::Architecture": "amd64",
    "APT::Update::Error-Mode": "any",
    "APT::Get::AllowUnauthenticated": "false",
    "Acquire::AllowInsecureRepositories": "false",
    "Acquire::Retries": "3",
  }).flatMap(([name, value]) => ["-o", `${name}=${value}`]);
}

/** Lets the user as which apt downloads write below the directory, where the host has one. */
async function openToApt(directory: string): Promise<void> {
  const { exitCode, lines } = await hostCommand(["id", "-u", "_apt"]);
  if (exitCode !== 0) return;
  for (const below of ["", "lists", "lists/partial", "cache/archives/partial"])
    await chown(join(directory, below), Number(lines[0]), 0);
}

async function aptLines(
  words: readonly string[],
  { directory, signal }: { readonly directory: string; readonly signal: AbortSignal | undefined },
): Promise<readonly string[]> {
  const all: string[] = [];
  const { exitCode } = await hostCommand(["env", "-C", directory, ...words], {
    signal,
    onLine: (line) => all.push(line),
  });
  if (exitCode === 0) return all;
  // A name that no list has is told like this, and so is a list that is not there.
  if (words[0] === "apt-cache") return [];
  throw unreachable(all);
}

/** Reads a record of `apt-cache show`. */
export function parsePackage(lines: readonly string[]): ArchivePackage | undefined {
  const field = (name: string): string | undefined =>
    lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2);
  const [name, version, sha256] = [field("Package"), field("Version"), field("SHA256")];
  if (name === undefined || version === undefined || !/^[0-9a-f]{64}$/.test(sha256 ?? ""))
    return undefined;
  return { name, version, source: field("Source") ?? name, sha256: sha256 ?? "" };
}

function unreachable(lines: readonly string[]): SandboxError {
  const said = lines.filter((line) => /^[EW]:/.test(line)).join(" ");
  return new SandboxError("unavailable", `Debian's archive cannot be read: ${said.slice(0, 500)}`, {
    mend: "see that this host reaches the mirror that its apt is set up for",
  });
}
