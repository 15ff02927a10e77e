// What only tests need: E2B's own clients, as they are published, a PostgreSQL server, and a Docker Engine.
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process, { env } from "node:process";
import { must, run } from "../terminal/run-process.mjs";
import { skipped, stage } from "../terminal/stage.mjs";
import { installFromHost } from "./apt.mjs";
import { hasApt, isRoot, programPath } from "./host.mjs";
import { root } from "./root.mjs";

const wanted = join(root, "test/clients");
const clients = join(root, "build/clients");
const debianPython = "/usr/bin/python3";
const postgresqlPrograms = "/usr/lib/postgresql";
/** What Debian's packages ask before they start a service. */
const policy = "/usr/sbin/policy-rc.d";
const clusterSettings = "/etc/postgresql-common/createcluster.conf";
const defaultClusterSettings = "/usr/share/postgresql-common/createcluster.conf";

/** Installs E2B's clients for Node and Python below build/clients. */
export async function setUpClients() {
  await stage("E2B's command line", (detail) =>
    installOnce("node", ["package.json", "package-lock.json"], (place) =>
      npmPackages(place, detail),
    ),
  );
  await stage("E2B's Python packages", (detail) =>
    installOnce("python", ["requirements.txt"], (place) => pythonPackages(place, detail)),
  );
}

/** Installs a PostgreSQL server for tests to start; none of this host's own is started or made. */
export async function setUpPostgresql() {
  await stage("PostgreSQL for tests", async (detail) => {
    if (existsSync(postgresqlPrograms)) return skipped("there");
    if (!isRoot || !hasApt)
      return { state: "not run", note: isRoot ? "this system has no apt" : "root is needed" };
    await withoutCluster(() => installFromHost(["postgresql"], detail));
    return "Debian's package, no service started";
  });
}

/** Installs a Docker Engine for tests to start; none of this host's own is started, now or at its next boot. */
export async function setUpEngine() {
  await stage("Docker for tests", async (detail) => {
    if (programPath("dockerd") !== undefined) return skipped("there");
    if (!isRoot || !hasApt)
      return { state: "not run", note: isRoot ? "this system has no apt" : "root is needed" };
    await withoutServices(() => installFromHost(["docker.io"], detail));
    if (programPath("systemctl") !== undefined)
      await run(["systemctl", "disable", "docker.service", "docker.socket", "containerd.service"]);
    return "Debian's package, no service started";
  });
}

/** Debian's packages start their services unless a program of the host's says no; it is gone afterwards. */
async function withoutServices(install) {
  const isOurs = !existsSync(policy);
  if (isOurs) writeFileSync(policy, "#!/bin/sh\nexit 101\n", { mode: 0o755 });
  try {
    await install();
  } finally {
    if (isOurs) rmSync(policy, { force: true });
  }
}

/** Calls `install` with a place below build/clients, unless what it was made from is unchanged. */
async function installOnce(name, files, install) {
  const place = join(clients, name);
  const mark = join(place, "installed");
  const content = files.map((file) => readFileSync(join(wanted, file), "utf8")).join("");
  if (existsSync(mark) && readFileSync(mark, "utf8") === content)
    return skipped(`as in test/clients/${files.at(-1)}`);
  rmSync(place, { recursive: true, force: true });
  mkdirSync(place, { recursive: true });
  for (const file of files) cpSync(join(wanted, file), join(place, file));
  await install(place);
  writeFileSync(mark, content);
  return "build/clients";
}

async function npmPackages(place, detail) {
  detail("npm ci: the packages of test/clients/package-lock.json, from npm's registry");
  cpSync(join(root, ".npmrc"), join(place, ".npmrc"));
  const npm = env.npm_execpath?.endsWith("npm-cli.js")
    ? [process.execPath, env.npm_execpath]
    : ["npm"];
  await must([...npm, "ci", "--ignore-scripts", "--loglevel=error"], { cwd: place });
}

async function pythonPackages(place, detail) {
  const python = existsSync(debianPython) ? debianPython : "python3";
  if ((await run([python, "-c", "import ensurepip"])).code !== 0)
    await installFromHost(["python3-venv"], detail);
  detail("pip install: the packages of test/clients/requirements.txt, from PyPI");
  await must([python, "-m", "venv", place]);
  const pip = [join(place, "bin/python"), "-m", "pip", "--disable-pip-version-check", "install"];
  const options = ["-q", "--require-hashes", "--only-binary", ":all:"];
  await must([...pip, ...options, "-r", join(place, "requirements.txt")]);
}

/** Debian's package makes and starts a cluster of its own unless a file says otherwise; it is put back afterwards. */
async function withoutCluster(install) {
  const isOurs = !existsSync(clusterSettings);
  if (isOurs) {
    mkdirSync("/etc/postgresql-common", { recursive: true });
    writeFileSync(clusterSettings, "create_main_cluster = false\n");
  }
  try {
    await install();
  } finally {
    if (isOurs && existsSync(defaultClusterSettings))
      cpSync(defaultClusterSettings, clusterSettings);
  }
}
