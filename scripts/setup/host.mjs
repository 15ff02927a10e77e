// Facts of this host that set-up decides by.
import { accessSync, constants, existsSync, readFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import process, { env } from "node:process";
import { Failure } from "../terminal/run-process.mjs";

export const isRoot = process.geteuid() === 0;
const debianArchitectures = new Map([
  ["x64", "amd64"],
  ["arm64", "arm64"],
]);

/** Debian's word for this processor. Throws `Failure` for one that Cofferdam does not run on. */
export function architecture() {
  const name = debianArchitectures.get(process.arch);
  if (name === undefined || process.platform !== "linux")
    throw new Failure(
      `Cofferdam runs on Linux on x64 and arm64, and this is ${process.platform} on ${process.arch}.`,
    );
  return name;
}

/** `{ id, codename, name }` of the distribution. */
export function distribution() {
  const text = existsSync("/etc/os-release") ? readFileSync("/etc/os-release", "utf8") : "";
  const field = (name) => new RegExp(`^${name}="?([^"\n]*)"?$`, "m").exec(text)?.[1] ?? "";
  return { id: field("ID"), codename: field("VERSION_CODENAME"), name: field("PRETTY_NAME") };
}

export const hasApt = existsSync("/usr/bin/apt-get") && existsSync("/usr/bin/dpkg");

/** The path of a program, also where a user's PATH does not look; `undefined`: it is not there. */
export function programPath(name) {
  const places = [...(env.PATH ?? "").split(delimiter), "/usr/local/sbin", "/usr/sbin", "/sbin"];
  return places.map((place) => join(place, name)).find(isExecutable);
}

function isExecutable(file) {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch (error) {
    if (["ENOENT", "EACCES", "ENOTDIR"].includes(error.code)) return false;
    throw error;
  }
}

/** Compares dotted versions as numbers: below 0, 0, above 0. */
export function compareVersions(left, right) {
  const [ones, others] = [left, right].map((text) => text.split(/[.+~-]/).map(Number));
  for (let at = 0; at < Math.max(ones.length, others.length); at += 1) {
    const difference = (ones[at] || 0) - (others[at] || 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
