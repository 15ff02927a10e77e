#!/usr/bin/env node
// Sets up this host where needed, then runs the example that shows what Cofferdam is for.
//
//   npm run quickstart
import { spawn } from "node:child_process";
import { join } from "node:path";
import process from "node:process";
import { root } from "./setup/root.mjs";
import { setUp } from "./setup/set-up.mjs";
import { program } from "./terminal/program.mjs";
import { heading } from "./terminal/stage.mjs";

await program(async () => {
  await setUp({ again: "npm run quickstart" });
  heading("A script that nobody has read, on real data");
  const example = join(root, "examples/quickstart/quickstart.mjs");
  const child = spawn(process.execPath, [example], { cwd: root, stdio: "inherit" });
  process.once("SIGTERM", () => child.kill("SIGTERM"));
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) => resolve(code ?? 1));
  });
});
