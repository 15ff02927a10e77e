import { execFile, execFileSync, spawn } from "node:child_process";
import { chmod, lstat, mkdir, mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { build as bundle } from "esbuild";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { templates } from "../../src/images/templates.ts";
import { refusalOf } from "../support/refusals.ts";

const hereIsRoot = process.getuid?.() === 0;
/** Two levels below the package, as the compiled library is, so that it finds the recipes. */
const builder = fileURLToPath(new URL("../../build/tests/builder.mjs", import.meta.url));
let directory = "";
let state = "";

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "cofferdam-templates-"));
  await chmod(directory, 0o755);
  state = join(directory, "state");
  await bundle({
    entryPoints: [fileURLToPath(new URL("builder.ts", import.meta.url))],
    outfile: builder,
    bundle: true,
    packages: "external",
    platform: "node",
    format: "esm",
    target: "node20",
  });
});

afterAll(async () => {
  await rm(directory, { recursive: true, force: true });
});

/** The smallest Debian, and what a recipe can add to it. */
async function recipe(name: string, more: object = {}): Promise<string> {
  const path = join(directory, name);
  await mkdir(path, { recursive: true });
  await writeFile(join(path, "greeting"), "hello\n");
  await writeFile(join(path, "recipe.json"), JSON.stringify({ name, suite: "trixie", ...more }));
  return path;
}

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

interface BuildOptions {
  /** A command that starts the build's command. */
  readonly before?: readonly string[];
  /** Called once when the build prints that stage. */
  readonly at?: { readonly stage: string; readonly act: (pid: number) => void };
}

/** A build in a process of its own. */
async function build(path: string, { before = [], at }: BuildOptions = {}): Promise<Ended> {
  const words = [...before, process.execPath, builder, state, path];
  const child = spawn("/usr/bin/env", words, { stdio: ["ignore", "pipe", "pipe"] });
  const printed = { stdout: "", stderr: "" };
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    const seen = at !== undefined && printed.stdout.includes(at.stage);
    printed.stdout += text;
    if (at !== undefined && !seen && printed.stdout.includes(at.stage)) at.act(child.pid ?? 0);
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    printed.stderr += text;
  });
  const code = await new Promise<number | null>((resolve) => {
    child.once("close", resolve);
  });
  return { code, ...printed };
}

/** Everything that a name has on the disk, and every process that works on it. */
async function leftOf(name: string): Promise<readonly string[]> {
  const path = join(state, "templates", name);
  const entries = await readdir(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return [];
    throw error;
  });
  return [...entries, ...processesNaming(path)];
}

function processesNaming(path: string): readonly string[] {
  const lines = execFileSync("ps", ["-e", "-o", "args="], { encoding: "utf8" }).split("\n");
  return lines.filter((line) => line.includes(path));
}

describe.skipIf(!hereIsRoot)("a template's build", () => {
  test("that is interrupted leaves nothing", async () => {
    const path = await recipe("stopped");
    const { code } = await build(path, {
      at: { stage: "installing the base system", act: (pid) => process.kill(pid, "SIGINT") },
    });
    expect(code).toBe(130);
    expect(await leftOf("stopped")).toEqual([]);
  });

  test("that is killed leaves no process, and no template, and the next one sweeps up", async () => {
    const path = await recipe("twice", {
      files: [{ from: "greeting", to: "/etc/greetings/first", mode: "0640" }],
      run: [
        "cat /etc/greetings/first >/etc/greetings/second",
        "ln -s /etc/shadow /etc/greetings/link",
      ],
      envs: { GREETING: "hello" },
      resources: { memoryMiB: 64 },
    });
    const { stdout } = await build(path, {
      at: { stage: "installing the base system", act: (pid) => process.kill(pid, "SIGKILL") },
    });
    expect(stdout).not.toContain("ready");
    await expect.poll(() => processesNaming(join(state, "templates/twice"))).toEqual([]);
    expect(await templates(state).list()).toEqual([]);

    const both = await Promise.all([build(path), build(path)]);
    expect(both.map(({ code }) => code)).toEqual([0, 0]);
    expect(both.filter(({ stdout: each }) => each.includes("installing the base"))).toHaveLength(1);
    expect(both.filter(({ stdout: each }) => each.includes("waiting for another"))).toHaveLength(1);
    const template = await templates(state).resolve("twice");
    expect([...(await leftOf("twice"))].toSorted()).toEqual(
      [template.digest, "current"].toSorted(),
    );
  });

  test("puts into the image what its recipe says, and nothing of this host's", async () => {
    const template = await templates(state).resolve("twice");
    expect(template).toMatchObject({ envs: { GREETING: "hello" }, resources: { memoryMiB: 64 } });
    const at = (path: string): string => join(template.rootfs, path);
    expect(await readFile(at("etc/greetings/second"), "utf8")).toBe("hello\n");
    expect((await lstat(at("etc/greetings/first"))).mode & 0o7777).toBe(0o640);
    expect(await readFile(at("etc/hostname"), "utf8")).toBe("sandbox\n");
    for (const path of ["etc/machine-id", "etc/resolv.conf"])
      expect([path, (await lstat(at(path))).size]).toEqual([path, 0]);
    for (const path of ["dev", "proc", "sys", "tmp", "var/lib/apt/lists", "var/log/apt"])
      expect([path, await readdir(at(path)).catch(() => [])]).toEqual([path, []]);
    expect(await readFile("/proc/self/mountinfo", "utf8")).not.toContain(state);
  });

  test("does nothing when its recipe has not changed", async () => {
    const before = await templates(state).resolve("twice");
    const path = await recipe("twice-again");
    await writeFile(
      join(path, "recipe.json"),
      await readFile(join(directory, "twice/recipe.json")),
    );
    expect(await templates(state).build(path)).toEqual(before);
  });

  test("of a package that does not exist is refused and leaves nothing", async () => {
    const path = await recipe("wrong", { packages: ["no-such-package-here"] });
    expect(await refusalOf(templates(state).build(path))).toMatchObject({
      code: "invalid",
      field: "packages",
    });
    expect(await leftOf("wrong")).toEqual([]);
  });

  test("on a full disk says so and leaves nothing", async () => {
    const small = join(directory, "small");
    await mkdir(small);
    await promisify(execFile)("mount", ["-t", "tmpfs", "-o", "size=48m", "none", small]);
    try {
      const refusal = await refusalOf(templates(small).build(await recipe("large")));
      expect(refusal).toMatchObject({ code: "disk-full" });
      expect(await readdir(join(small, "templates"))).toEqual([".locks"]);
    } finally {
      await promisify(execFile)("umount", [small]);
    }
  });

  test("without a network says so and leaves nothing", async () => {
    const path = await recipe("offline");
    const { code, stderr } = await build(path, { before: ["unshare", "--net"] });
    expect([code, stderr]).toEqual([69, expect.stringContaining("cannot be reached")]);
    expect(await leftOf("offline")).toEqual([]);
  });

  test("cannot be done by anybody but root", async () => {
    const path = await recipe("foreign");
    const { code, stderr } = await build(path, {
      before: ["setpriv", "--reuid", "65534", "--clear-groups"],
    });
    expect([code, stderr]).toEqual([77, expect.stringContaining("root")]);
  });
});

describe.skipIf(!hereIsRoot)("a template", () => {
  test("is not removed while a machine stands on it, and wholly afterwards", async () => {
    const { rootfs } = await templates(state).resolve("twice");
    const machine = join(state, "machines/i1");
    await mkdir(machine, { recursive: true });
    await writeFile(
      join(machine, "plan.json"),
      JSON.stringify({ version: 1, id: "i1", root: { lower: ["/guest", rootfs] } }),
    );
    expect(await refusalOf(templates(state).remove("twice"))).toMatchObject({ code: "conflict" });
    expect((await templates(state).resolve("twice")).rootfs).toBe(rootfs);
    await rm(machine, { recursive: true });
    await templates(state).remove("twice");
    expect(await leftOf("twice")).toEqual([]);
    expect(await refusalOf(templates(state).resolve("twice"))).toMatchObject({
      code: "not-found",
      field: "template",
    });
  });
});
