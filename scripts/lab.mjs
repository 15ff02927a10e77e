#!/usr/bin/env node
// Runs a command in an emulated AMD machine whose KVM runs guests, for hosts whose own does not. Exits as the command does.
//
//   npm run lab -- [--memory MiB] [--patience N] COMMAND [ARGUMENT...]
//
// The machine is QEMU's, in software: slow, and real. It has Debian's kernel and control groups of version 2, no network, this
// checkout at its own path (what is written there is gone afterwards), and the templates of this host's state directory.
// --patience scales the time limits of the conformance suite (default 10).
import process, { argv } from "node:process";
import { pathToFileURL } from "node:url";
import { join } from "node:path";
import { setUpLab } from "./lab/set-up.mjs";
import { runInLab } from "./lab/machine.mjs";
import { root } from "./setup/root.mjs";
import { setUp } from "./setup/set-up.mjs";
import { program } from "./terminal/program.mjs";
import { Failure } from "./terminal/run-process.mjs";
import { heading } from "./terminal/stage.mjs";

const usage = "npm run lab -- [--memory MiB] [--patience N] COMMAND [ARGUMENT...]";
const defaults = { memory: 4096, patience: 10 };

await program(async () => {
  const { command, memory, patience } = parse(argv.slice(2));
  if (process.arch !== "x64")
    throw new Failure(`The lab emulates an AMD machine on x64 hosts, and this is ${process.arch}.`);
  await setUp({ again: "npm run lab" });
  heading("Lab");
  const image = await setUpLab();
  const { defaultStateDir } = await import(pathToFileURL(join(root, "dist/index.js")).href);
  return runInLab(command, { image, memoryMiB: memory, patience, stateDir: defaultStateDir });
});

/** Options up to the command's first word; what follows is the command's. */
function parse(words) {
  const options = { ...defaults };
  let at = 0;
  for (; words[at]?.startsWith("--"); at += 2) {
    const name = words[at].slice(2);
    const value = Number(words[at + 1]);
    if (!Object.hasOwn(options, name) || !Number.isSafeInteger(value) || value < 1)
      throw new Failure(
        `${words[at]} ${words[at + 1] ?? ""} is not an option of the lab: ${usage}`,
      );
    options[name] = value;
  }
  const command = words.slice(at);
  if (command.length === 0) throw new Failure(`The lab needs a command: ${usage}`);
  if (options.memory < 1024) throw new Failure("The lab needs 1024 MiB of memory at least.");
  return { ...options, command };
}
