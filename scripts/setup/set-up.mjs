// Everything that Cofferdam needs on this host, each part only where it is missing.
import { existsSync } from "node:fs";
import { join } from "node:path";
import process, { env } from "node:process";
import { Failure, must } from "../terminal/run-process.mjs";
import { heading, say, skipped, stage } from "../terminal/stage.mjs";
import { compile, isCompiled } from "./compile.mjs";
import { architecture, compareVersions, isRoot } from "./host.mjs";
import { installPackages, packagesAreInstalled } from "./node-packages.mjs";
import { root } from "./root.mjs";
import { runcPrefix } from "./runtimes.mjs";
import { missingInWords, missingOfHost, setUpHost } from "./system.mjs";
import { hasMicrovms } from "./qemu.mjs";
import {
  buildTemplate,
  builtinTemplates,
  fetchKernel,
  guestKernels,
  missingTemplates,
} from "./templates.mjs";
import { setUpClients, setUpEngine, setUpPostgresql } from "./test-clients.mjs";

const wantedNode = "20.19";

/**
 * Sets up this checkout and this host. `parts`: `packages` (what Node needs), `build` (the compiled programs as well) or `host`
 * (the runtimes and templates, too). `again` is the command that a root user is told to run. `tests` has of what only tests
 * need `clients` (E2B's own), `postgresql` and `engine` (Docker's). Throws `Failure` before it has changed anything where root is needed and
 * missing.
 */
export async function setUp(options = {}) {
  const { parts = "host", again, prefix = runcPrefix, stateDir, tests = new Set() } = options;
  heading("Set-up");
  if (env.COFFERDAM_LAB !== undefined) return say("as outside the lab");
  requireComputer();
  if (parts === "host") {
    if (!isRoot) await refuseWithoutRoot(prefix, again);
    else await setUpHost(prefix);
  }
  await stage("Node packages", async (detail) => {
    if (packagesAreInstalled()) return skipped("as in package-lock.json");
    return installPackages(detail);
  });
  if (parts === "packages") return;
  await build();
  if (parts === "host") await setUpImages(stateDir);
  await setUpTests(tests);
}

async function setUpTests(tests) {
  if (tests.has("postgresql")) await setUpPostgresql();
  if (tests.has("clients")) await setUpClients();
  if (tests.has("engine")) await setUpEngine();
}

function requireComputer() {
  architecture();
  if (compareVersions(process.versions.node, wantedNode) >= 0) return;
  throw new Failure(`Node ${wantedNode} or later is needed, and this is ${process.versions.node}.`);
}

/** Compiles the agent, the supervisor, the kernels and the library. */
async function build() {
  await stage("agent and supervisor", async (detail) => {
    const script = join(root, "scripts/build-native.mjs");
    let made = 0;
    const onLine = (line) => {
      if (line.endsWith("unchanged")) return;
      made += 1;
      detail(line.replace("build-native: ", ""));
    };
    await must([process.execPath, script], { cwd: root, onLine });
    return made === 0 ? skipped("unchanged") : "build/native";
  });
  await stage("library", async () => {
    if (isCompiled()) return skipped("unchanged");
    await compile();
    return "dist";
  });
}

async function setUpTemplates(stateDir) {
  const missing = await missingTemplates(stateDir);
  for (const name of builtinTemplates) {
    await stage(`template ${name}`, async (detail) => {
      if (!missing.includes(name)) return skipped("there");
      await buildTemplate(name, { stateDir, detail });
      return "from Debian packages";
    });
  }
}

async function setUpImages(stateDir) {
  await setUpTemplates(stateDir);
  if (hasMicrovms) await setUpKernel(stateDir);
}

async function setUpKernel(stateDir) {
  await stage("guest kernel", async (detail) => {
    const [present] = await guestKernels(stateDir);
    if (present !== undefined) return skipped(present.kernel);
    return fetchKernel({ stateDir, detail });
  });
}

async function refuseWithoutRoot(prefix, again) {
  const missing = missingInWords(await missingOfHost(prefix));
  const what =
    missing.length === 0
      ? "Sandboxes on this host are made by root"
      : `Root is needed to install ${missing.join(", ")}, and to make sandboxes on this host`;
  const node = existsSync("/usr/bin/node") && existsSync("/usr/bin/npm");
  const path = node ? "" : `env "PATH=${env.PATH}" `;
  throw new Failure(
    `${what}. Nothing was changed. As a root user, run:\n\n    sudo ${path}${again}\n`,
  );
}
