// Node packages, as the lock file has them.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import process, { env } from "node:process";
import { must } from "../terminal/run-process.mjs";
import { root } from "./root.mjs";

/** Whether node_modules holds what the lock file says. */
export function packagesAreInstalled() {
  const installed = packagesOf("node_modules/.package-lock.json");
  if (installed === undefined) return false;
  return Object.entries(packagesOf("package-lock.json")).every(([place, wanted]) => {
    const found = installed[place];
    if (place === "") return true;
    if (found === undefined) return wanted.optional === true || wanted.devOptional === true;
    return found.version === wanted.version && existsSync(join(root, place, "package.json"));
  });
}

function packagesOf(file) {
  const path = join(root, file);
  return existsSync(path) ? JSON.parse(readFileSync(path, "utf8")).packages : undefined;
}

export async function installPackages(detail) {
  const { packages } = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8"));
  detail(
    `npm ci: ${Object.keys(packages).length - 1} packages of package-lock.json, from npm's registry`,
  );
  const npm = env.npm_execpath?.endsWith("npm-cli.js")
    ? [process.execPath, env.npm_execpath]
    : ["npm"];
  await must([...npm, "ci", "--no-audit", "--no-fund", "--loglevel=error"], { cwd: root });
}
