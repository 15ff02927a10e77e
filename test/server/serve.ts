import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Sandbox } from "e2b";
import { afterAll, beforeAll } from "vitest";
import { program, stateDir } from "../cli/cofferdam.ts";

/** A server in a process of its own, as users start it. */
export interface Served {
  readonly url: string;
  readonly port: number;
  /** The key that the first start made. */
  readonly key: string;
  readonly child: ChildProcess;
  /** Lines of its log. */
  readonly lines: string[];
  /** Ends it as told and resolves with its exit code, or the signal. */
  end(signal: NodeJS.Signals): Promise<number | string>;
}

export interface ServeOptions {
  /** Variables of its environment beside this process's. */
  readonly environment?: Readonly<Record<string, string>>;
  /** Default: the tests' own. */
  readonly stateDir?: string;
  /** Default: the one that the first start made. */
  readonly key?: string;
}

export async function serve(
  words: readonly string[] = ["--port", "0"],
  { environment = {}, stateDir: place = stateDir, key }: ServeOptions = {},
): Promise<Served> {
  const child = spawn(process.execPath, [program, "serve", "--state-dir", place, ...words], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, ...environment },
  });
  const lines: string[] = [];
  createInterface({ input: child.stderr }).on("line", (line) => lines.push(line));
  const first = createInterface({ input: child.stdout })[Symbol.asyncIterator]().next();
  const exited = once(child, "exit");
  const ready = await Promise.race([first, exited]);
  if (Array.isArray(ready) || ready.done === true)
    throw new Error(`the server did not start:\n${lines.join("\n")}`);
  const url = ready.value;
  return {
    url,
    port: Number(new URL(url).port),
    key: key ?? readFileSync(join(place, "server/first-key"), "utf8").trim(),
    child,
    lines,
    async end(signal) {
      child.kill(signal);
      await exited;
      return child.exitCode ?? child.signalCode ?? "";
    },
  };
}

/** What an E2B program is told, and nothing else. */
export function tellClients({ url, key }: Pick<Served, "url" | "key">): void {
  process.env["E2B_API_KEY"] = key;
  process.env["E2B_API_URL"] = url;
  process.env["E2B_SANDBOX_URL"] = url;
}

/** A server for all tests of a file; its sandboxes end with it. */
export function served(): { readonly now: () => Served } {
  let server: Served | undefined;
  beforeAll(async () => {
    server = await serve(["--port", "0", "--end-sandboxes"]);
    tellClients(server);
  });
  afterAll(async () => {
    await server?.end("SIGTERM");
  });
  return {
    now() {
      if (server === undefined) throw new Error("the server does not run yet");
      return server;
    },
  };
}

/** What a driver can do, as the server tells it. */
export interface DriverPowers {
  readonly name: string;
  readonly capabilities: readonly string[];
  readonly pauseKeeps: readonly string[];
}

export async function powersOf(
  server: Pick<Served, "url" | "key">,
  driver: string,
): Promise<DriverPowers> {
  const { url, key } = server;
  const answer = await fetch(`${url}/cofferdam/v1/drivers`, { headers: { "x-api-key": key } });
  const drivers: readonly DriverPowers[] = JSON.parse(await answer.text());
  const found = drivers.find(({ name }) => name === driver);
  if (found === undefined) throw new Error(`the server has no driver ${driver}`);
  return found;
}

/** A JSON call of the control plane. */
export async function call(
  { url, key }: Pick<Served, "url" | "key">,
  route: string,
  body?: unknown,
): Promise<{ readonly status: number; readonly headers: Headers; readonly body: unknown }> {
  const [method = "GET", path = "/"] = route.split(" ", 2);
  const answer = await fetch(`${url}${path}`, {
    method,
    headers: { "x-api-key": key, "content-type": "application/json" },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await answer.text();
  return {
    status: answer.status,
    headers: answer.headers,
    body: text === "" ? undefined : JSON.parse(text),
  };
}

/** Whether a version of the SDK can be used as the newest one. */
export function isSdk(value: unknown): value is typeof Sandbox {
  return typeof value === "function" && "create" in value;
}
