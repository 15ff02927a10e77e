// Debian packages: from the host's own sources, and from Debian's archive without touching them.
import { chownSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Failure, must, run } from "../terminal/run-process.mjs";
import { say } from "../terminal/stage.mjs";
import { architecture, distribution } from "./host.mjs";

const keyring = "/usr/share/keyrings/debian-archive-keyring.gpg";
const wellKnownMirror = "http://deb.debian.org/debian";
const quietly = {
  shielded: true,
  environment: { DEBIAN_FRONTEND: "noninteractive", LC_ALL: "C.UTF-8" },
};
const patience = ["-o", "DPkg::Lock::Timeout=300", "-o", "Acquire::Retries=3"];

/** Installs packages from the host's own sources, after saying which and from where. */
export async function installFromHost(names, detail) {
  detail("reading the host's package lists");
  await must(["apt-get", "-q", ...patience, "update"], quietly);
  for (const name of names) say(`  installs ${await originOf(name)}`);
  await aptInstall(names, detail);
}

/** Installs downloaded packages; what they depend on comes from the host's own sources. */
export async function installFiles(files, detail) {
  await aptInstall(files, detail);
}

async function aptInstall(names, detail) {
  detail(`installing ${names.map((name) => name.split("/").at(-1)).join(", ")}`);
  const options = ["-q", "-y", "--no-install-recommends", "--allow-downgrades", ...patience];
  await must(["apt-get", ...options, "install", ...names], quietly);
}

/** `name version from place` as apt knows it. Throws `Failure` for a package that no source has. */
async function originOf(name) {
  const { stdout } = await must(["apt-cache", "madison", name], quietly);
  const [, version, place] = stdout
    .split("\n")[0]
    .split("|")
    .map((part) => part.trim());
  if (version === undefined)
    throw new Failure(
      `No package source of this host has ${name}. Add Debian's (or Ubuntu's) main archive to them.`,
    );
  return `${name} ${version} from ${place.replace(/ Packages$/, "")}`;
}

/** The version that the host's own sources would install; `undefined`: none. */
export async function hostCandidate(name) {
  const { stdout } = await run(["apt-cache", "policy", name], quietly);
  const found = /Candidate: (\S+)/.exec(stdout)?.[1];
  return found === "(none)" ? undefined : found;
}

/**
 * Gives `work` a function `download(names, suite)` that fetches packages from suites of Debian's archive and resolves with
 * their files. apt checks the signatures with Debian's archive keys; lists and files lie in a directory of their own, which
 * is gone afterwards, and the host's sources are not read.
 */
export async function fromDebian(suites, detail, work) {
  const directory = mkdtempSync(join(tmpdir(), "cofferdam-apt-"));
  try {
    const options = await privateApt(directory, suites);
    detail(`reading Debian's lists of ${suites.join(", ")}`);
    await must(["apt-get", ...options, "-q", "update"], quietly);
    return await work((names, suite) => download(names, { suite, directory, options, detail }));
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

async function privateApt(directory, suites) {
  const mirror = await debianMirror();
  const facts = `[arch=${architecture()} lang=none target=Packages signed-by=${keyring}]`;
  const sources = suites.map((suite) => `deb ${facts} ${mirror} ${suite} main\n`);
  for (const below of ["lists/partial", "cache/archives/partial"])
    mkdirSync(join(directory, below), { recursive: true });
  writeFileSync(join(directory, "sources.list"), sources.join(""));
  await openToApt(directory);
  const settings = {
    "Dir::Etc::SourceList": join(directory, "sources.list"),
    "Dir::Etc::SourceParts": "/dev/null",
    "Dir::Etc::Preferences": "/dev/null",
    "Dir::Etc::PreferencesParts": "/dev/null",
    "Dir::State::Lists": join(directory, "lists"),
    "Dir::Cache": join(directory, "cache"),
    "APT::Update::Error-Mode": "any",
    "APT::Get::AllowUnauthenticated": "false",
    "Acquire::AllowInsecureRepositories": "false",
    "Acquire::Retries": "3",
  };
  return Object.entries(settings).flatMap(([name, value]) => ["-o", `${name}=${value}`]);
}

/** Lets the user as which apt downloads write below the directory. */
async function openToApt(directory) {
  const { code, stdout } = await run(["id", "-u", "_apt"], quietly);
  if (code !== 0) return;
  for (const below of ["", "lists", "lists/partial", "cache/archives/partial"])
    chownSync(join(directory, below), Number(stdout), 0);
}

async function download(names, { suite, directory, options, detail }) {
  const files = [];
  for (const name of names) {
    const wanted = `${name}/${suite}`;
    const { stdout } = await must(
      ["apt-get", ...options, "--print-uris", "download", wanted],
      quietly,
    );
    const [, place, file] = /^'([^']+)' (\S+)/m.exec(stdout) ?? [];
    if (place === undefined) throw new Failure(`Debian's ${suite} has no package ${name}.`);
    say(`  takes ${name} from ${place}`);
    detail(`downloading ${name}`);
    await must(["apt-get", ...options, "-q", "download", wanted], { ...quietly, cwd: directory });
    files.push(join(directory, downloaded(directory, file)));
  }
  return files;
}

function downloaded(directory, file) {
  const found = readdirSync(directory).find((name) => name === file);
  if (found === undefined) throw new Failure(`apt downloaded ${file}, but it is not there.`);
  return found;
}

/** Where the host takes Debian from, when it is a Debian; else Debian's well-known address. */
export async function debianMirror() {
  const { id, codename } = distribution();
  if (id !== "debian") return wellKnownMirror;
  const format = "$(REPO_URI) $(RELEASE)";
  const { code, stdout } = await run(["apt-get", "indextargets", "--format", format], quietly);
  const lines = code === 0 ? stdout.split("\n").map((line) => line.split(" ")) : [];
  const own = lines.find(([place, release]) => release === codename && /^https?:/.test(place));
  return own === undefined ? wellKnownMirror : own[0].replace(/\/$/, "");
}
