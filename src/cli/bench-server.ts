import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, symlink } from "node:fs/promises";
import { Agent, request } from "node:http";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import type { BenchServer } from "../bench/scenario.ts";
import type { Driver } from "../core/driver.ts";
import { SandboxError } from "../core/errors.ts";
import { openStore } from "../store/open-store.ts";
import { servedSandbox } from "./bench-served.ts";
import { defaultTenant, serverDirectory, tenantNamed } from "./server-store.ts";

/** So that what is measured is the server and not its limits. */
const withoutLimits = {
  maxSandboxes: 100_000,
  maxCpus: 1_000_000,
  maxMemoryMiB: 1_000_000_000,
  maxKept: 100_000,
  createsPerMinute: 1_000_000,
};
const lifetimeSeconds = 3 * 3600;
const made = z.object({ sandboxID: z.string(), envdAccessToken: z.string() });

interface Wanted {
  readonly driver: Driver;
  /** Of the server's own; its sandboxes are below it. */
  readonly stateDir: string;
  /** The host's, whose templates are used. */
  readonly templatesOf: string;
}

/** A server in a process of its own, over the driver, with a client's connections to it. */
export async function benchServer({ driver, stateDir, templatesOf }: Wanted): Promise<BenchServer> {
  await mkdir(stateDir, { recursive: true, mode: 0o711 });
  await symlink(join(templatesOf, "templates"), join(stateDir, "templates"));
  const key = await unlimitedKey(stateDir);
  const { child, url } = await started(stateDir, driver.name);
  const agent = new Agent({ keepAlive: true, maxSockets: 100 });
  const call = (method: string, path: string, body?: unknown): Promise<unknown> =>
    ask({ url: new URL(path, url), agent, key }, method, body);
  return {
    pid: child.pid ?? 0,
    async create(template) {
      const body = { templateID: template, timeout: lifetimeSeconds };
      const told = made.parse(await call("POST", "/v2/sandboxes", body));
      return { id: told.sandboxID, token: told.envdAccessToken };
    },
    open: ({ id, token }) => servedSandbox(driver, { url, id, token }),
    kill: async (id) => void (await call("DELETE", `/sandboxes/${id}`)),
    async [Symbol.asyncDispose]() {
      agent.destroy();
      const over = once(child, "exit");
      if (child.exitCode === null && child.kill("SIGTERM")) await over;
    },
  };
}

async function unlimitedKey(stateDir: string): Promise<string> {
  await using store = await openStore({ directory: serverDirectory(stateDir) });
  const { id } = await tenantNamed(store, defaultTenant);
  await store.tenants.setLimits(id, withoutLimits);
  return (await store.keys.create({ tenantId: id, name: "bench" })).secret;
}

async function started(
  stateDir: string,
  driver: string,
): Promise<{ readonly child: ChildProcess; readonly url: string }> {
  const program = fileURLToPath(new URL("main.js", import.meta.url));
  const words = ["--port", "0", "--driver", driver, "--end-sandboxes"];
  const child = spawn(process.execPath, [program, "serve", "--state-dir", stateDir, ...words], {
    stdio: ["ignore", "pipe", "ignore"],
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const { value: url, done } = await lines.next();
  if (done === true || url === undefined)
    throw new SandboxError("unavailable", "the server to be measured did not start");
  return { child, url };
}

interface Door {
  readonly url: URL;
  readonly agent: Agent;
  readonly key: string;
}

/** A call of the control plane. Throws `internal` with the server's words. */
async function ask({ url, agent, key }: Door, method: string, body: unknown): Promise<unknown> {
  const headers = { "x-api-key": key, "content-type": "application/json" };
  const asked = request(url, { method, agent, headers });
  asked.end(body === undefined ? undefined : JSON.stringify(body));
  const [answer] = await once(asked, "response");
  let text = "";
  for await (const chunk of answer) text += String(chunk);
  if (answer.statusCode < 400) return text === "" ? undefined : JSON.parse(text);
  throw new SandboxError("internal", `the server answered ${answer.statusCode}: ${text}`);
}
