// A server of this host for the conformance suite, with a key whose tenant may do what the suite does.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";
import process from "node:process";
import { withStateDir } from "../gate/templates.mjs";
import { root } from "../setup/root.mjs";
import { Failure } from "../terminal/run-process.mjs";

/** Gives `work` a server and its key: `work({ apiUrl, apiKey, stateDir })`. The server and its sandboxes end with it. */
export function withServer(work) {
  return withStateDir(async (stateDir) => {
    const words = ["--state-dir", stateDir, "--port", "0", "--end-sandboxes"];
    const server = spawn(process.execPath, [join(root, "dist/cli/main.js"), "serve", ...words], {
      stdio: ["ignore", "pipe", "ignore"],
    });
    const exited = once(server, "exit");
    try {
      const line = createInterface({ input: server.stdout })[Symbol.asyncIterator]().next();
      const first = await Promise.race([line, exited]);
      if (Array.isArray(first) || first.done) throw new Failure("The server did not start.");
      await raiseLimits(join(stateDir, "server"));
      const apiKey = readFileSync(join(stateDir, "server/first-key"), "utf8").trim();
      return await work({ apiUrl: first.value, apiKey, stateDir });
    } finally {
      server.kill("SIGTERM");
      await exited;
    }
  });
}

/** The suite makes more machines in a minute than a tenant may who was given no other limits. */
async function raiseLimits(directory) {
  const { openStore } = await import(pathToFileURL(join(root, "dist/store/open-store.js")).href);
  const store = await openStore({ directory });
  try {
    const { id } = await store.tenants.named("default");
    await store.tenants.setLimits(id, { createsPerMinute: 10_000, maxCpus: 1024 });
  } finally {
    await store[Symbol.asyncDispose]();
  }
}
