// The TypeScript in src/, compiled into dist/.
import { createHash } from "node:crypto";
import {
  chmodSync,
  existsSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { must } from "../terminal/run-process.mjs";
import { root } from "./root.mjs";

const stamp = join(root, "dist/.inputs");

/** Whether dist/ was made from what src/ holds now. */
export function isCompiled() {
  return existsSync(stamp) && readFileSync(stamp, "utf8") === inputs();
}

/** Compiles beside dist/ and puts the whole in its place, so that programs that use it see one state or the other. */
export async function compile() {
  const digest = inputs();
  const made = join(root, `dist.${process.pid}.new`);
  const old = join(root, `dist.${process.pid}.old`);
  try {
    const compiler = join(root, "node_modules/typescript/bin/tsc");
    const flags = ["-p", "tsconfig.build.json", "--outDir", made];
    await must([process.execPath, compiler, ...flags], { cwd: root });
    chmodSync(join(made, "cli/main.js"), 0o755);
    writeFileSync(join(made, ".inputs"), digest);
    if (existsSync(join(root, "dist"))) renameSync(join(root, "dist"), old);
    renameSync(made, join(root, "dist"));
  } finally {
    for (const directory of [made, old]) rmSync(directory, { recursive: true, force: true });
  }
}

/** A digest of all that the compiler reads. */
function inputs() {
  const hash = createHash("sha256");
  const sources = readdirSync(join(root, "src"), { recursive: true, encoding: "utf8" })
    .filter((name) => /\.(ts|json)$/.test(name) && !name.endsWith(".test.ts"))
    .map((name) => `src/${name}`);
  const settings = ["package.json", "package-lock.json", "tsconfig.json", "tsconfig.build.json"];
  for (const file of [...settings, ...sources.toSorted()]) {
    const content = readFileSync(join(root, file));
    hash.update(`${file}\0${content.length}\0`).update(content);
  }
  return hash.digest("hex");
}
