import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeEach, describe, expect, test } from "vitest";
import { served } from "./serve.ts";

const program = "build/clients/node/node_modules/.bin/e2b";
const absent = existsSync(program)
  ? undefined
  : "not run: E2B's command line is not installed below build/clients (npm test does)";
const home = mkdtempSync(join(tmpdir(), "cofferdam-e2b-home-"));
afterAll(() => rmSync(home, { recursive: true }));
const server = served();

interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs E2B's command line as it is published, in a home of its own where nobody is logged in. */
async function e2b(words: readonly string[], input = ""): Promise<Ran> {
  return ended([process.execPath, program, ...words], (child) => child.stdin?.end(input));
}

/** As somebody at a terminal runs it, who types when the screen shows what was waited for. */
function inTerminal(words: readonly string[], keys: readonly [RegExp, string][]): Promise<Ran> {
  const waiting = [...keys];
  const command = ["python3", "test/cli/terminal.py", process.execPath, program, ...words];
  return ended(command, (child) => {
    let screen = "";
    child.stdout?.on("data", (bytes: Buffer) => {
      screen += bytes.toString();
      const [next] = waiting;
      if (next === undefined || !next[0].test(screen)) return;
      screen = "";
      waiting.shift();
      child.stdin?.write(`${JSON.stringify({ send: next[1] })}\n`);
    });
  });
}

async function ended(
  [command = "", ...words]: readonly string[],
  meanwhile: (child: ReturnType<typeof spawn>) => void,
): Promise<Ran> {
  const child = spawn(command, words, {
    stdio: "pipe",
    env: { ...process.env, HOME: home, TERM: "xterm-256color", NO_COLOR: "1" },
  });
  const said = { stdout: "", stderr: "" };
  child.stdout.on("data", (bytes: Buffer) => void (said.stdout += bytes.toString()));
  child.stderr.on("data", (bytes: Buffer) => void (said.stderr += bytes.toString()));
  child.stdin.on("error", () => undefined);
  meanwhile(child);
  await once(child, "close");
  return { code: child.exitCode, ...said };
}

/** The id of a new sandbox. */
async function created(): Promise<string> {
  const { code, stdout, stderr } = await e2b(["sandbox", "create", "base", "--detach"]);
  const id = /\bi[0-9a-z]{19,}\b/.exec(stdout)?.[0];
  if (code !== 0 || id === undefined) throw new Error(`no id was printed: ${stdout}${stderr}`);
  return id;
}

async function listed(): Promise<readonly { sandboxId: string; state: string }[]> {
  const { stdout } = await e2b(["sandbox", "list", "--format", "json"]);
  return JSON.parse(stdout);
}

describe("E2B's command line", () => {
  beforeEach(({ skip }) => {
    if (absent !== undefined) skip(absent);
  });

  test("makes a sandbox, lists it, tells about it and kills it", async () => {
    const id = await created();
    expect(await listed()).toContainEqual(
      expect.objectContaining({ sandboxId: id, state: "running" }),
    );
    const info = await e2b(["sandbox", "info", "--format", "json", id]);
    expect(JSON.parse(info.stdout)).toMatchObject({
      sandboxId: id,
      templateId: "base",
      state: "running",
      sandboxDomain: `localhost:${server.now().port}`,
    });
    expect((await e2b(["sandbox", "kill", id])).code).toBe(0);
    expect((await listed()).map(({ sandboxId }) => sandboxId)).not.toContain(id);
    expect((await e2b(["sandbox", "info", id])).stderr).toMatch(/n.t found/i);
  });

  test("runs commands with their input, output, code, user, directory and variables", async () => {
    const id = await created();
    const options = ["-u", "root", "-c", "/tmp", "-e", "WORD=wörd"];
    const script = "id -un; pwd; echo $WORD; echo wrong >&2; exit 3";
    const ran = await e2b(["sandbox", "exec", ...options, id, "sh", "-c", script]);
    expect([ran.code, ran.stdout]).toEqual([3, "root\n/tmp\nwörd\n"]);
    expect(ran.stderr).toContain("wrong\n");
    const fed = await e2b(["sandbox", "exec", id, "wc", "-c"], "four");
    expect([fed.code, fed.stdout.trim()]).toEqual([0, "4"]);
    const script2 = "sleep 1; echo done > /tmp/done";
    const behind = await e2b(["sandbox", "exec", "-b", id, "sh", "-c", script2]);
    expect(behind.code).toBe(0);
    const read = async (): Promise<string> =>
      (await e2b(["sandbox", "exec", id, "cat", "/tmp/done"])).stdout;
    await expect.poll(read, { timeout: 30_000 }).toBe("done\n");
    await e2b(["sandbox", "kill", id]);
  });

  test("shows logs and metrics, as people and as programs read them", async () => {
    const id = await created();
    const logs = await e2b(["sandbox", "logs", id]);
    expect([logs.code, logs.stderr]).toEqual([0, ""]);
    expect(logs.stdout).toContain("sandbox.create: ok");
    const lines = (await e2b(["sandbox", "logs", "--format", "json", id])).stdout.trim();
    expect(lines.split("\n").map((line) => JSON.parse(line))).toContainEqual(
      expect.objectContaining({ message: "sandbox.create: ok", logger: "cofferdam" }),
    );
    const metrics = await e2b(["sandbox", "metrics", "--format", "json", id]);
    expect(JSON.parse(metrics.stdout.trim().split("\n")[0] ?? "")).toMatchObject({
      memTotal: 512 * 1024 * 1024,
    });
    await e2b(["sandbox", "kill", id]);
  });

  test("pauses a sandbox, lists it as such, and resumes it", async () => {
    const id = await created();
    await e2b(["sandbox", "exec", id, "sh", "-c", "echo kept > /home/user/kept"]);
    expect((await e2b(["sandbox", "pause", id])).code).toBe(0);
    expect((await listed()).map(({ sandboxId }) => sandboxId)).not.toContain(id);
    const paused = await e2b(["sandbox", "list", "--state", "paused", "--format", "json"]);
    expect(JSON.parse(paused.stdout)).toMatchObject([{ sandboxId: id, state: "paused" }]);
    expect((await e2b(["sandbox", "pause", id])).stdout).toMatch(/already|paused/i);
    expect((await e2b(["sandbox", "resume", id])).code).toBe(0);
    expect((await listed()).map(({ sandboxId }) => sandboxId)).toContain(id);
    expect((await e2b(["sandbox", "exec", id, "cat", "/home/user/kept"])).stdout).toBe("kept\n");
    await e2b(["sandbox", "kill", id]);
  });

  test("makes snapshots, lists them and deletes them, and makes sandboxes of them", async () => {
    const id = await created();
    await e2b(["sandbox", "exec", id, "sh", "-c", "echo kept > /home/user/kept"]);
    const made = await e2b(["sandbox", "snapshot", "create", "--name", "by-cli", id]);
    expect([made.code, made.stdout]).toEqual([0, expect.stringContaining("by-cli")]);
    const all = await e2b(["sandbox", "snapshot", "list", "--format", "json", id]);
    const [snapshot] = JSON.parse(all.stdout);
    expect(snapshot).toMatchObject({ snapshotId: expect.stringContaining("by-cli") });
    const named = ["sandbox", "snapshot", "list", "--name", "by-cli", "--format", "json"];
    expect(JSON.parse((await e2b(named)).stdout)).toEqual([snapshot]);
    const copy = await e2b(["sandbox", "create", snapshot.snapshotId, "--detach"]);
    const [copyId = ""] = /\bi[0-9a-z]{19,}\b/.exec(copy.stdout) ?? [];
    expect((await e2b(["sandbox", "exec", copyId, "cat", "/home/user/kept"])).stdout).toBe(
      "kept\n",
    );
    await e2b(["sandbox", "kill", id, copyId]);
    expect((await e2b(["sandbox", "snapshot", "delete", snapshot.snapshotId])).code).toBe(0);
    expect(JSON.parse((await e2b(named)).stdout)).toEqual([]);
  });

  test("lists by template, metadata, order and number, and follows logs to a sandbox's end", async () => {
    const [first, second] = [await created(), await created()];
    const list = async (...words: readonly string[]): Promise<readonly string[]> => {
      const { stdout } = await e2b(["sandbox", "list", "--format", "json", ...words]);
      const found: readonly { readonly sandboxId: string }[] = JSON.parse(stdout);
      return found.map(({ sandboxId }) => sandboxId);
    };
    expect(await list("--template", "base", "--order", "asc")).toEqual([first, second]);
    expect(await list("--limit", "1")).toEqual([second]);
    expect(await list("--template", "code-interpreter")).toEqual([]);
    expect(await list("--metadata", "who=nobody")).toEqual([]);
    const following = e2b(["sandbox", "logs", "--follow", "--format", "json", first]);
    const watching = e2b(["sandbox", "metrics", "--follow", "--format", "json", first]);
    await new Promise((resolve) => setTimeout(resolve, 2000));
    await e2b(["sandbox", "kill", first, second]);
    expect((await following).stdout).toContain("sandbox.create: ok");
    expect((await watching).stdout).toContain("memTotal");
  });

  test("connects a terminal, and makes a sandbox with one", async () => {
    const id = await created();
    const keys: readonly [RegExp, string][] = [
      [/[$#] $/, "echo $((6 * 7)) here\n"],
      [/42 here/, "exit\n"],
    ];
    const shell = await inTerminal(["sandbox", "connect", id], [...keys]);
    expect(shell.stdout).toContain("42 here");
    expect((await listed()).map(({ sandboxId }) => sandboxId)).toContain(id);
    await e2b(["sandbox", "kill", id]);
    const fresh = await inTerminal(["sandbox", "create", "base"], [...keys]);
    expect(fresh.stdout).toContain("42 here");
  });

  test("kills all sandboxes, and lists templates", async () => {
    await created();
    await created();
    expect((await e2b(["sandbox", "kill", "--all"])).code).toBe(0);
    expect(await listed()).toEqual([]);
    const templates = await e2b(["template", "list"]);
    expect(templates.stdout).toContain("code-interpreter");
  });

  test("a wrong key and a missing sandbox are told in words", async () => {
    const missing = await e2b(["sandbox", "exec", "i0000000000000000000", "true"]);
    expect(missing.code).not.toBe(0);
    expect(missing.stderr).toMatch(/not found/i);
    process.env["E2B_API_KEY"] = `e2b_${"0".repeat(40)}`;
    try {
      const refused = await e2b(["sandbox", "list"]);
      expect(refused.code).not.toBe(0);
      expect(refused.stderr).toMatch(/401|unauthorized|key/i);
    } finally {
      process.env["E2B_API_KEY"] = server.now().key;
    }
  });

  test.for(["auth login", "auth configure", "template create", "template publish"])(
    "%s",
    (_, { skip }) =>
      skip("not applicable: it logs in to E2B's own dashboard, or builds with E2B's own builder"),
  );
});
