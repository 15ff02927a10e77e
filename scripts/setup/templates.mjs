// The built-in templates and the guest kernel, made by the command line that set-up has compiled.
import { join } from "node:path";
import process from "node:process";
import { isTerminal } from "../terminal/paint.mjs";
import { must } from "../terminal/run-process.mjs";
import { root } from "./root.mjs";

export const builtinTemplates = ["base", "code-interpreter"];
const commandLine = [process.execPath, join(root, "dist/cli/main.js")];

/** Names of built-in templates that are missing, or whose recipe has changed. */
export async function missingTemplates(stateDir) {
  const { stdout } = await must([...commandLine, ...place(stateDir), "template", "ls", "--json"]);
  const ready = JSON.parse(stdout);
  return builtinTemplates.filter(
    (name) => !ready.some((each) => each.name === name && each.outdated === false),
  );
}

export async function buildTemplate(name, { stateDir, detail }) {
  const command = [...commandLine, ...place(stateDir), "template", "build", name];
  const percent = isTerminal ? "" : / \(\d+ %\)$/;
  const onLine = (line) => detail(line.replace(`${name}: `, "").replace(percent, ""));
  await must(command, { onLine });
}

/** The guest kernels that are here. */
export async function guestKernels(stateDir) {
  const { stdout } = await must([...commandLine, ...place(stateDir), "kernel", "ls", "--json"]);
  return JSON.parse(stdout);
}

/** Fetches the newest guest kernel and resolves with its version. */
export async function fetchKernel({ stateDir, detail }) {
  const command = [...commandLine, ...place(stateDir), "kernel", "update", "--json"];
  const printed = [];
  const onLine = (line, stream) => {
    if (stream === "stdout") printed.push(line);
    else detail(line.replace("kernel: ", ""));
  };
  await must(command, { onLine });
  return JSON.parse(printed.join("\n")).kernel;
}

function place(stateDir) {
  return stateDir === undefined ? [] : ["--state-dir", stateDir];
}
