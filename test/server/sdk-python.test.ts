import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { createInterface } from "node:readline";
import { beforeAll, describe, expect, test } from "vitest";
import { subjects } from "../cli/cofferdam.ts";
import { served } from "./serve.ts";

const python = "build/clients/python/bin/python";
const program = "test/python/run.py";
const kinds = ["sync", "async"];
const isInstalled = existsSync(python);
const promises = isInstalled ? listed() : [];
const drivers = await subjects();
served();

interface Case {
  readonly name: string;
  /** Why it failed; `undefined`: it passed. */
  readonly failed?: string;
  readonly notRun?: string;
}

function listed(): readonly string[] {
  const options = { encoding: "utf8", env: environment() } as const;
  const names = execFileSync(python, [program, "--list"], options).trim().split("\n");
  if (names.length < 20) throw new Error(`only ${names.length} cases of Python's were found`);
  return names;
}

function environment(): NodeJS.ProcessEnv {
  return { ...process.env, PYTHONDONTWRITEBYTECODE: "1", PYTHONWARNINGS: "ignore" };
}

/** Runs all cases in one process, as each program of a user's is one. */
async function run(kind: string, driver: string): Promise<ReadonlyMap<string, Case>> {
  const child = spawn(python, [program, kind, driver], {
    env: environment(),
    stdio: ["ignore", "pipe", "pipe"],
  });
  const exited = once(child, "close");
  let stderr = "";
  child.stderr.on("data", (bytes: Buffer) => void (stderr += bytes.toString()));
  const found = new Map<string, Case>();
  for await (const line of createInterface({ input: child.stdout })) {
    const told: Case = JSON.parse(line);
    found.set(told.name, told);
  }
  await exited;
  if (child.exitCode !== 0) throw new Error(`Python's cases broke off:\n${stderr}`);
  return found;
}

test.skipIf(isInstalled)("E2B's Python packages", ({ skip }) => {
  skip("not run: E2B's Python packages are not installed below build/clients (npm test does)");
});

for (const { name: driver, absent } of drivers)
  describe.skipIf(absent !== undefined || !isInstalled).each(kinds)(
    `Python's %s class on ${driver}`,
    (kind) => {
      let found: ReadonlyMap<string, Case>;
      beforeAll(async () => {
        found = await run(kind, driver);
      }, 300_000);

      test.for(promises)("%s", (name, { skip }) => {
        expect([...found.keys()]).toContain(name);
        const reason = found.get(name)?.notRun;
        if (reason !== undefined) skip(`not run: ${reason}`);
        expect(found.get(name)?.failed ?? "").toBe("");
      });
    },
  );
