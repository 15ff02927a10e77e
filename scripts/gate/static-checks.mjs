// Checks of the text: each is one program, and passes or fails as a whole.
import { readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import process from "node:process";
import { must, run } from "../terminal/run-process.mjs";
import { findGo } from "../setup/go.mjs";
import { root } from "../setup/root.mjs";

/** Results in bench/ are what the benchmark wrote, and stay as they are. */
const written = "!bench/results";
const sources = ["src", "test", "bench", "examples", "scripts", "guest/kernels/javascript"];
const settings = [
  "vitest.config.ts",
  "dependency-law.cjs",
  "knip.json",
  "package.json",
  "tsconfig.json",
];

/** Each resolves with what is wrong in words; empty when nothing is. */
export const staticChecks = [
  {
    name: "format",
    title: "format",
    check: () => tool("oxfmt", "--check", ...sources, ...settings, written),
  },
  {
    name: "lint",
    title: "lint",
    check: () => tool("oxlint", "--type-aware", "--deny-warnings", ...sources, "vitest.config.ts"),
  },
  { name: "types", title: "types", check: () => tool("tsc", "-p", "tsconfig.json", "--noEmit") },
  { name: "law", title: "law of dependencies", check: dependencyLaw },
  { name: "dead-code", title: "dead code", check: () => tool("knip", "--no-progress") },
  { name: "package", title: "package", check: () => tool("publint", "run", "--strict") },
  { name: "go-format", title: "Go format", check: goFormat },
  { name: "go-vet", title: "Go vet", check: goVet },
];

async function tool(name, ...flags) {
  const program = join(root, "node_modules/.bin", name);
  const { code, lines } = await run([process.execPath, program, ...flags], { cwd: root });
  return code === 0 ? "" : lines.join("\n") || `${name} ended with ${code}`;
}

/** A tool that sees no module finds no violation, so the count is compared with the files that are there. */
async function dependencyLaw() {
  const program = join(root, "node_modules/.bin/depcruise");
  const flags = ["--config", "dependency-law.cjs", "--output-type", "json", "src"];
  const { stdout, lines } = await run([process.execPath, program, ...flags], { cwd: root });
  if (!stdout.startsWith("{")) return lines.join("\n");
  const { modules, summary } = JSON.parse(stdout);
  const cruised = modules.filter(
    ({ source }) => source.startsWith("src/") && source.endsWith(".ts"),
  );
  const there = readdirSync(join(root, "src"), { recursive: true }).filter((name) =>
    name.endsWith(".ts"),
  );
  if (cruised.length !== there.length || there.length === 0)
    return `dependency-cruiser saw ${cruised.length} of ${there.length} modules in src`;
  return summary.violations
    .map(({ rule, from, to }) => `${rule.name}: ${from} -> ${to}`)
    .join("\n");
}

async function goFormat() {
  const { path } = await findGo();
  const { stdout } = await must([path, "env", "GOROOT"], { cwd: "/" });
  const gofmt = join(dirname(path) === "." ? join(stdout, "bin") : dirname(path), "gofmt");
  const { stdout: unformatted } = await must([gofmt, "-l", "guest", "supervisor"], { cwd: root });
  return unformatted === "" ? "" : `gofmt -w ${unformatted.replaceAll("\n", " ")}`;
}

async function goVet() {
  const { path } = await findGo();
  const { code, lines } = await run([path, "vet", "./guest/...", "./supervisor/..."], {
    cwd: root,
    environment: { GOTOOLCHAIN: "local", CGO_ENABLED: "0" },
  });
  return code === 0 ? "" : lines.join("\n");
}
