import { chmodSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { served } from "../server/serve.ts";
import {
  type RunOptions,
  type Ran,
  cofferdam,
  program,
  running,
  scratch,
  stateDir,
  subjects,
} from "./cofferdam.ts";

const [works] = (await subjects()).filter(({ absent }) => absent === undefined);

const server = served();
const keyFile = join(stateDir, "server/first-key");

function afar(words: readonly string[], options: RunOptions = {}): Promise<Ran> {
  const at = ["--server", server.now().url, "--api-key-file", keyFile];
  return cofferdam([...at, ...words], { ...options, isAfar: true });
}

describe.skipIf(works === undefined)("sandboxes of a server", () => {
  test("run brings files in and out, saves pictures, prints results and exits as the program does", async () => {
    using directory = scratch();
    writeFileSync(join(directory.path, "data.csv"), "a\n1\n");
    const code = [
      "import matplotlib.pyplot as plt",
      "open('out.txt', 'w').write(open('data.csv').read() * 2)",
      "plt.plot([1, 2]); plt.show()",
      "print('said'); 6 * 7",
    ].join("\n");
    const words = ["run", "-c", code, "--upload", "data.csv", "--download", "out.txt"];
    const ran = await afar(words, { cwd: directory.path });
    expect(ran).toMatchObject({ code: 0, stdout: "said\n42\n" });
    expect(readFileSync(join(directory.path, "out.txt"), "utf8")).toBe("a\n1\na\n1\n");
    expect(existsSync(join(directory.path, "cofferdam-1.png"))).toBe(true);
    expect((await afar(["run", "-c", "import sys; sys.exit(5)"])).code).toBe(5);
    expect(await running()).toEqual([]);
  });

  test("a sandbox is made, listed, used by input and outputs byte for byte, and killed", async () => {
    const made = await afar(["create", "--template", "base", "--metadata", "who=afar"]);
    const id = made.stdout.trim();
    expect(id).toMatch(/^i[a-z0-9]{20}$/);
    expect(await running()).toEqual([id]);
    const row = (await afar(["ls"])).stdout.split("\n").find((line) => line.startsWith(id));
    expect(row).toMatch(new RegExp(`^${id} +base +${works?.name} +running .*who=afar$`));
    const bytes = Uint8Array.from({ length: 1_000_000 }, (_, index) => (index * 31) % 256);
    const copied = await afar(["exec", id, "--", "cat"], { input: bytes });
    expect(copied.bytes.equals(Buffer.from(bytes))).toBe(true);
    const ended = await afar(["exec", id, "--", "sh", "-c", "echo out; echo err >&2; exit 7"]);
    expect(ended).toMatchObject({ code: 7, stdout: "out\n", stderr: "err\n" });
    expect(await afar(["kill", id])).toMatchObject({ code: 0, stdout: `${id}\n` });
    expect((await afar(["exec", id, "--", "true"])).code).toBe(66);
    expect(await running()).toEqual([]);
  });
});

test.skipIf(works === undefined)(
  "a sandbox of a server is paused, resumed, and made a template of",
  async () => {
    const id = (await afar(["create", "--template", "base"])).stdout.trim();
    await afar(["exec", id, "--", "sh", "-c", "echo kept > file"]);
    expect(await afar(["pause", id])).toMatchObject({ code: 0, stdout: `${id}\n` });
    expect((await afar(["ls"])).stdout).toMatch(new RegExp(`^${id} .* paused .* never`, "m"));
    expect(await afar(["exec", id, "--", "true"])).toMatchObject({ code: 73 });
    expect(await afar(["resume", id, "--lifetime", "2m"])).toMatchObject({ code: 0 });
    const taken = await afar(["snapshot", "take", id, "--name", "afar-snapshot"]);
    expect(taken).toMatchObject({ code: 0, stdout: "afar-snapshot\n" });
    expect(await afar(["snapshot", "take", id, "--name", "afar-snapshot"])).toMatchObject({
      code: 73,
      stderr: expect.stringContaining("take another name"),
    });
    expect((await afar(["snapshot", "ls"])).stdout).toMatch(/^afar-snapshot +base +files /m);
    const copy = (await afar(["create", "--template", "afar-snapshot"])).stdout.trim();
    expect(await afar(["exec", copy, "--", "cat", "file"])).toMatchObject({ stdout: "kept\n" });
    expect((await afar(["ls"])).stdout).toMatch(new RegExp(`^${copy} +afar-snapshot `, "m"));
    await afar(["kill", id, copy]);
    expect(await afar(["snapshot", "rm", "afar-snapshot"])).toMatchObject({ code: 0 });
    expect(await running()).toEqual([]);
  },
);

describe.skipIf(works === undefined)("the command line on a server", () => {
  test("templates and what enforces what are the server's, and its doctor says whether it answers", async () => {
    const listed = await afar(["template", "ls", "--json"]);
    const templates: readonly { readonly name: string }[] = JSON.parse(listed.stdout);
    expect(templates.map(({ name }) => name)).toContain("code-interpreter");
    expect((await afar(["template", "ls"])).stdout).toContain("code-interpreter");
    expect(await afar(["doctor"])).toMatchObject({ code: 0 });
    const enforced = await afar(["doctor", "--driver", works?.name ?? "", "--enforcement"]);
    expect(enforced.stdout).toContain("resources.memoryMiB");
  });

  test("Ctrl-C ends what runs there", async () => {
    const code = "print('begun', flush=True)\nimport time\ntime.sleep(1000)";
    const ran = await afar(["run", "-c", code], {
      meanwhile: async (it) => {
        await it.printed("begun");
        it.child.kill("SIGINT");
      },
    });
    expect(ran.code).toBe(130);
    expect(await running()).toEqual([]);
  });

  test("shell is a terminal there", async () => {
    const harness = fileURLToPath(new URL("terminal.py", import.meta.url));
    const words = [harness, process.execPath, program, "--server", server.now().url];
    const shell = ["--api-key-file", keyFile, "shell", "--template", "base"];
    const child = spawn("python3", [...words, ...shell], { stdio: ["pipe", "pipe", "inherit"] });
    let seen = "";
    for await (const bytes of child.stdout) {
      seen += String(bytes);
      if (seen.endsWith("$ ")) child.stdin.write(`${JSON.stringify({ send: "tty; exit 9\r" })}\n`);
    }
    expect(seen).toContain("/dev/pts/");
    expect(seen).toMatch(/"exit": 9/);
  });

  test("what is done on the server's own host alone is refused with where to do it", async () => {
    for (const words of [
      ["template", "build", "base"],
      ["template", "rm", "base"],
      ["bench"],
      ["key", "ls"],
      ["serve"],
    ]) {
      const refused = await afar(words);
      expect(refused.stderr).toContain("on the server's own host");
      expect(refused.code).toBe(69);
    }
    const elsewhere = await afar(["ls", "--driver", "runc"]);
    expect(elsewhere.stderr).toContain("leave it out");
    expect(elsewhere.code).toBe(64);
  });

  test("a wrong key, an unknown driver or template, and a server that is not there are told", async () => {
    using directory = scratch();
    const wrong = join(directory.path, "key");
    writeFileSync(wrong, `e2b_${"0".repeat(40)}\n`);
    chmodSync(wrong, 0o600);
    const url = ["--server", server.now().url];
    expect(await told(77, ...url, "--api-key-file", wrong, "ls")).toContain("API key");
    expect(await told(77, ...url, "ls")).toContain("COFFERDAM_API_KEY");
    const good = [...url, "--api-key-file", keyFile];
    expect(await told(64, ...good, "run", "-c", "1", "--driver", "nope")).toContain("--driver");
    const unknown = await told(66, ...good, "run", "-c", "1", "--template", "nope");
    expect(unknown.match(/cofferdam template ls/g)).toHaveLength(1);
    expect(unknown.split("\n").slice(0, 2)).toEqual([
      "cofferdam: template 'nope' not found",
      "  option: --template",
    ]);
    const driver = await told(64, ...good, "run", "-c", "1", "--driver", "nope");
    expect([driver.includes("mend: name one of these"), driver.includes("behind")]).toEqual([
      true,
      false,
    ]);
    expect(await told(66, ...good, "pause", `i${"a".repeat(20)}`)).toContain("cofferdam ls");
    const nobody = ["--server", "http://127.0.0.1:1", "--api-key-file", keyFile];
    expect(await told(69, ...nobody, "ls")).toContain("127.0.0.1:1");
  });
});

/** What stands on stderr of a use that is refused with this exit code. */
async function told(code: number, ...words: readonly string[]): Promise<string> {
  const ran = await cofferdam(words, { isAfar: true });
  expect([ran.code, ran.stdout]).toEqual([code, ""]);
  return ran.stderr;
}
