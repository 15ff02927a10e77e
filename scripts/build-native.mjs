#!/usr/bin/env node
// Builds what runs outside Node: the agent and the supervisors (Go, static) and the code kernels, into build/native.
//
//   node scripts/build-native.mjs [--all] [--force]
//
// --all builds for amd64 and arm64 and not only for this machine; --force builds what has not changed, too.
// Files are replaced whole, by renaming, so a build may run beside programs that use the last one, and beside itself.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { env } from "node:process";
import { parseArgs } from "node:util";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const target = join(root, "build/native");
const architectures = new Map([
  ["x64", "amd64"],
  ["arm64", "arm64"],
]);
const programs = [
  { name: "agent", source: "guest/cmd/agent", inputs: ["guest"] },
  { name: "supervisor", source: "supervisor/cmd/supervisor", inputs: ["guest", "supervisor"] },
  { name: "engine-supervisor", source: "supervisor/cmd/engine", inputs: ["guest", "supervisor"] },
];
const kernels = [
  { name: "python", extension: ".py", build: copied },
  { name: "bash", extension: ".bash", build: copied },
  { name: "javascript", extension: ".ts", build: bundled },
];

/** A failure that the reader can mend; its message says how. */
class BuildError extends Error {}

function say(text) {
  process.stderr.write(`build-native: ${text}\n`);
}

/** All files below a directory, sorted, as paths from the root. */
function filesBelow(directory) {
  const files = readdirSync(join(root, directory), { recursive: true, withFileTypes: true }).filter(
    (entry) => entry.isFile(),
  );
  return files
    .map((entry) => relative(root, join(entry.parentPath ?? entry.path, entry.name)))
    .toSorted();
}

function digestOf(files, ...facts) {
  const hash = createHash("sha256");
  for (const file of [...files, "scripts/build-native.mjs"]) {
    const content = readFileSync(join(root, file));
    hash.update(`${file}\0${content.length}\0`).update(content);
  }
  return hash.update(JSON.stringify(facts)).digest("hex");
}

/** Puts content in place of a file in one step. */
function replace(file, content, mode) {
  mkdirSync(dirname(file), { recursive: true });
  const aside = `${file}.${process.pid}.new`;
  try {
    writeFileSync(aside, content);
    chmodSync(aside, mode);
    renameSync(aside, file);
  } finally {
    rmSync(aside, { force: true });
  }
}

/** Runs one stage unless its outputs were made from the same inputs. */
async function stage(name, { digest, outputs, build }) {
  const stamp = join(target, ".inputs", name);
  const known = existsSync(stamp) ? readFileSync(stamp, "utf8") : "";
  if (!options.force && known === digest && outputs.every((file) => existsSync(file))) {
    say(`${name}: unchanged`);
    return;
  }
  const begun = performance.now();
  await build();
  replace(stamp, digest, 0o644);
  say(`${name}: built in ${((performance.now() - begun) / 1000).toFixed(1)} s`);
}

function versionOf(go) {
  try {
    const text = execFileSync(go, ["env", "GOVERSION"], {
      encoding: "utf8",
      env: { ...env, GOTOOLCHAIN: "local" },
      cwd: "/",
      stdio: ["ignore", "pipe", "ignore"],
    });
    const [, major, minor] = /^go(\d+)\.(\d+)/.exec(text) ?? [];
    return { go, text: text.trim(), number: Number(major) * 1000 + Number(minor) };
  } catch (error) {
    if (error.code === "ENOENT" || error.status !== undefined) return undefined;
    throw error;
  }
}

/** The newest Go of this machine: in PATH, where Debian's golang-1.x packages have it, or where go.dev's archive goes. */
function findGo() {
  const beside = existsSync("/usr/lib")
    ? readdirSync("/usr/lib").filter((name) => /^go-1\.\d+$/.test(name))
    : [];
  const places = ["go", ...beside.map((name) => `/usr/lib/${name}/bin/go`), "/usr/local/go/bin/go"];
  const found = places.map(versionOf).filter((one) => one !== undefined);
  found.sort((a, b) => b.number - a.number);
  const [, wanted] = /^go 1\.(\d+)/m.exec(readFileSync(join(root, "go.mod"), "utf8"));
  if (found[0] !== undefined && found[0].number >= 1000 + Number(wanted)) return found[0];
  const seen = found[0] === undefined ? "none was found" : `the newest found is ${found[0].text}`;
  throw new BuildError(
    `Go 1.${wanted} or newer is needed and ${seen}. On Debian: apt install golang-1.${wanted}-go ` +
      "(in bookworm from backports), or take it from https://go.dev/dl/.",
  );
}

async function buildProgram(program, architecture, go) {
  const name = `${program.name}-linux-${architecture}`;
  if (!existsSync(join(root, program.source))) {
    say(`${name}: skipped, there is no ${program.source}`);
    return;
  }
  const sources = program.inputs
    .flatMap(filesBelow)
    .filter((file) => /(?<!_test)\.(go|s)$/.test(file));
  const file = join(target, name);
  await stage(name, {
    digest: digestOf(["go.mod", ...sources], architecture, go.text),
    outputs: [file],
    build: () => compile(go, program, { file, architecture }),
  });
}

function compile(go, program, { file, architecture }) {
  const aside = `${file}.${process.pid}.new`;
  mkdirSync(target, { recursive: true });
  try {
    const flags = ["-trimpath", "-buildvcs=false", "-ldflags", "-s -w"];
    execFileSync(go.go, ["build", ...flags, "-o", aside, `./${program.source}`], {
      cwd: root,
      stdio: ["ignore", 2, 2],
      env: {
        ...env,
        CGO_ENABLED: "0",
        GOOS: "linux",
        GOARCH: architecture,
        GOFLAGS: "",
        GOTOOLCHAIN: "local",
      },
    });
    renameSync(aside, file);
  } catch (error) {
    if (error.status === undefined) throw error;
    throw new BuildError(`go could not build ${program.source}; its own words stand above`);
  } finally {
    rmSync(aside, { force: true });
  }
}

async function buildKernel(kernel) {
  const source = join("guest/kernels", kernel.name);
  const files = existsSync(join(root, source)) ? filesBelow(source) : [];
  const inputs = files.filter(
    (file) => file.endsWith(kernel.extension) && !/[._]test\./.test(file),
  );
  if (inputs.length === 0) {
    say(`kernel ${kernel.name}: skipped, there is no ${source}`);
    return;
  }
  const directory = join(target, "kernels", kernel.name);
  const outputs =
    kernel.build === bundled
      ? [join(directory, "kernel.mjs")]
      : inputs.map((file) => join(directory, basename(file)));
  await stage(`kernel-${kernel.name}`, {
    digest: digestOf(kernel.build === bundled ? [...inputs, "package-lock.json"] : inputs),
    outputs,
    build: async () => {
      await kernel.build(inputs, directory);
      removeOthers(
        directory,
        outputs.map((file) => basename(file)),
      );
    },
  });
}

function copied(inputs, directory) {
  for (const file of inputs)
    replace(join(directory, basename(file)), readFileSync(join(root, file)), 0o644);
}

async function bundled(inputs, directory) {
  const entry = inputs.find((file) => basename(file) === "kernel.ts");
  const esbuild = await import("esbuild").catch((error) => {
    if (error.code !== "ERR_MODULE_NOT_FOUND") throw error;
    throw new BuildError("esbuild is not installed; run: npm ci");
  });
  const { outputFiles } = await esbuild.build({
    absWorkingDir: root,
    entryPoints: [entry],
    bundle: true,
    write: false,
    minify: true,
    legalComments: "eof",
    platform: "node",
    format: "esm",
    target: "node18",
    logLevel: "warning",
    banner: {
      js: 'import { createRequire as __createRequire } from "node:module"; const require = __createRequire("file:///");',
    },
  });
  replace(join(directory, "kernel.mjs"), outputFiles[0].contents, 0o644);
}

/** Removes what an earlier build left that this one does not make. Files that a build at work has set aside stay. */
function removeOthers(directory, kept) {
  for (const name of readdirSync(directory)) {
    if (!kept.includes(name) && !name.endsWith(".new"))
      rmSync(join(directory, name), { recursive: true, force: true });
  }
}

async function main() {
  const here = architectures.get(process.arch);
  if (here === undefined)
    throw new BuildError(`${process.arch} is not supported; Cofferdam runs on x64 and arm64`);
  const go = findGo();
  for (const kernel of kernels) await buildKernel(kernel);
  for (const program of programs) {
    for (const architecture of options.all ? architectures.values() : [here]) {
      await buildProgram(program, architecture, go);
    }
  }
}

const { values: options } = parseArgs({
  options: { all: { type: "boolean" }, force: { type: "boolean" } },
});
main().catch((error) => {
  say(error instanceof BuildError ? error.message : error.stack);
  process.exitCode = 1;
});
