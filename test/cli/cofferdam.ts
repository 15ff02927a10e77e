import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll } from "vitest";

const root = fileURLToPath(new URL("../..", import.meta.url));

/** A place of these tests' own for sandboxes, so that no other is listed or killed; templates are the host's. */
export const stateDir: string = mkdtempSync(join(tmpdir(), "cofferdam-cli-state-"));
symlinkSync(
  join(process.env["COFFERDAM_STATE_DIR"] ?? "/var/lib/cofferdam", "templates"),
  join(stateDir, "templates"),
);
afterAll(() => {
  const machines = join(stateDir, "machines");
  const left = existsSync(machines) ? readdirSync(machines) : [];
  if (left.length > 0)
    throw new Error(`machines outlived the tests in ${stateDir}: ${left.join()}`);
  rmSync(stateDir, { recursive: true, force: true });
});

/** The program as users have it, compiled before the tests when it is older than its source. */
export const program: string = compiled();

function compiled(): string {
  const main = join(root, "dist/cli/main.js");
  if (existsSync(main) && statSync(main).mtimeMs >= newest(join(root, "src"))) return main;
  const compiler = join(root, "node_modules/typescript/bin/tsc");
  const { stdout } = spawnSync(process.execPath, [
    compiler,
    "-p",
    join(root, "tsconfig.build.json"),
  ]);
  if (existsSync(main)) return main;
  throw new Error(`the command line could not be compiled: ${stdout.toString()}`);
}

function newest(directory: string): number {
  const times = readdirSync(directory, { withFileTypes: true }).map((entry) => {
    const path = join(directory, entry.name);
    return entry.isDirectory() ? newest(path) : statSync(path).mtimeMs;
  });
  return Math.max(0, ...times);
}

/** How the program ended and what it printed. */
export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  /** stdout, byte for byte. */
  readonly bytes: Buffer;
}

export interface RunOptions {
  readonly input?: string | Uint8Array;
  readonly cwd?: string;
  readonly uid?: number;
  /** Whether the words name a server, so that this host's state is none of theirs. */
  readonly isAfar?: boolean;
  /** Called with the child once it runs. */
  readonly meanwhile?: (child: Running) => Promise<void>;
}

/** The program while it runs. */
export interface Running {
  readonly child: ChildProcess;
  /** Resolves when stdout holds the text. Rejects when the program ends without it. */
  printed(text: string): Promise<void>;
}

/** Runs the command line in a process of its own. */
export async function cofferdam(words: readonly string[], options: RunOptions = {}): Promise<Ran> {
  const place = options.isAfar === true ? [] : ["--state-dir", stateDir];
  const child = spawn(process.execPath, [program, ...place, ...words], {
    cwd: options.cwd ?? tmpdir(),
    stdio: "pipe",
    ...(options.uid === undefined ? {} : { uid: options.uid, gid: options.uid }),
  });
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  child.stdout.on("data", (bytes: Buffer) => stdout.push(bytes));
  child.stderr.on("data", (bytes: Buffer) => stderr.push(bytes));
  child.stdin.on("error", () => undefined);
  const closed = once(child, "close");
  if (options.meanwhile === undefined) child.stdin.end(options.input ?? "");
  else
    await options.meanwhile({ child, printed: (text) => until(child, () => textOf(stdout), text) });
  await closed;
  const code = child.exitCode;
  if (code === null) throw new Error(`the command line was ended by ${child.signalCode}`);
  return { code, stdout: textOf(stdout), stderr: textOf(stderr), bytes: Buffer.concat(stdout) };
}

function textOf(chunks: readonly Buffer[]): string {
  return Buffer.concat(chunks).toString();
}

async function until(child: ChildProcess, read: () => string, text: string): Promise<void> {
  while (!read().includes(text)) {
    if (child.exitCode !== null) throw new Error(`it ended without printing ${text}: ${read()}`);
    await Promise.race([once(child.stdout ?? child, "data"), once(child, "close")]);
  }
}

/** A directory of the test's own, removed when the test is over. */
export function scratch(): Disposable & { readonly path: string } {
  const path = mkdtempSync(join(tmpdir(), "cofferdam-cli-"));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

/** A driver for these tests, or why there is none. */
export interface Subject {
  readonly name: string;
  /** `undefined`: it works. */
  readonly absent: string | undefined;
}

interface Checkup {
  readonly drivers: readonly {
    readonly name: string;
    readonly ok: boolean;
    readonly reason?: string;
  }[];
}

/** Those that these suites go over. What they look at is the same on others, whose own suite is that of conformance. */
const usual = new Set(["gvisor", "runc"]);

/** What `doctor` says of each usual driver. A missing one that is required fails. */
export async function subjects(): Promise<readonly Subject[]> {
  const required = new Set((process.env["REQUIRE_DRIVERS"] ?? "").split(","));
  const { stdout } = await cofferdam(["doctor", "--json"]);
  const { drivers }: Checkup = JSON.parse(stdout);
  return drivers.flatMap(({ name, ok, reason }) => {
    if (!usual.has(name)) return [];
    if (!ok && required.has(name))
      throw new Error(`${name} is required here but absent: ${reason}`);
    return [{ name, absent: ok ? undefined : (reason ?? "no reason given") }];
  });
}

/** The sandboxes that run below the tests' state directory. */
export async function running(): Promise<readonly string[]> {
  const { stdout } = await cofferdam(["ls", "--json"]);
  const sandboxes: readonly { readonly sandboxId: string }[] = JSON.parse(stdout);
  return sandboxes.map(({ sandboxId }) => sandboxId);
}
