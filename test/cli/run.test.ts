import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import { cofferdam, running, scratch, subjects } from "./cofferdam.ts";

interface Document {
  readonly exitCode: number;
  readonly driver: string;
  readonly choice: { readonly reason: string };
  readonly text: string | null;
  readonly results: readonly Record<string, unknown>[];
  readonly logs: { readonly stdout: readonly string[]; readonly stderr: readonly string[] };
  readonly error: Record<string, string> | null;
  readonly pictures: readonly string[];
  readonly hints: readonly string[];
  readonly timings: Readonly<Record<string, number>>;
}

describe.each(await subjects())("run on $name", ({ name, absent }) => {
  const on = ["--driver", name];
  beforeEach(({ skip }) => {
    if (absent !== undefined) skip(`not run: ${absent}`);
  });

  test("output goes to the same streams, and the last expression is printed", async () => {
    const code = "import sys; print('out'); print('err', file=sys.stderr); 6 * 7";
    expect(await cofferdam(["run", "-c", code, ...on])).toMatchObject({
      code: 0,
      stdout: "out\n42\n",
      stderr: "err\n",
    });
  });

  test("the language is told by the file's name, by the flag, or is Python", async () => {
    using directory = scratch();
    const scripts = [
      ["a.py", "print('py', 1 + 1)", "py 2\n"],
      ["a.js", "console.log('js', await Promise.resolve(2))", "js 2\n"],
      ["a.ts", "const n: number = 2; console.log('ts', n)", "ts 2\n"],
      ["a.sh", "echo sh $((1 + 1))", "sh 2\n"],
    ] as const;
    for (const [file, code, stdout] of scripts) {
      writeFileSync(join(directory.path, file), code);
      const result = await cofferdam(["run", file, ...on], { cwd: directory.path });
      expect(result).toMatchObject({ code: 0, stdout, stderr: "" });
    }
    const flagged = ["run", "-", "--language", "bash", ...on];
    expect((await cofferdam(flagged, { input: "echo from $0" })).stdout).toContain("from ");
  });

  test("the exit code is the program's own", async () => {
    const ends = [
      ["python", "import sys; sys.exit(3)", 3],
      ["python", "import os; os._exit(4)", 4],
      ["python", "raise SystemExit", 0],
      ["python", "1 / 0", 1],
      ["python", "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", 139],
      ["javascript", "process.exit(5)", 5],
      ["javascript", "throw new Error('no')", 1],
      ["bash", "exit 6", 6],
      ["bash", "false", 1],
    ] as const;
    for (const [language, code, exit] of ends) {
      const result = await cofferdam(["run", "-c", code, "--language", language, ...on]);
      expect([language, code, result.code]).toEqual([language, code, exit]);
    }
  });

  test("an uncaught error shows its traceback on stderr, without colours in a pipe", async () => {
    const { stderr, stdout } = await cofferdam(["run", "-c", "1 / 0", ...on]);
    expect(stderr).toContain("ZeroDivisionError");
    expect(stderr).not.toContain("\u001b");
    expect(stdout).toBe("");
  });

  test("a time-out exits with 124 and says so; what was printed before is there", async () => {
    const code = "print('before', flush=True)\nimport time\ntime.sleep(1000)";
    const text = await cofferdam(["run", "-c", code, "--timeout", "2s", ...on]);
    expect(text).toMatchObject({ code: 124, stdout: "before\n" });
    expect(text.stderr).toContain("time limit");
    const document = await json(["-c", code, "--timeout", "2s", ...on], 124);
    expect(document.error).toMatchObject({ code: "timed-out" });
    expect(document.logs.stdout.join("")).toBe("before\n");
    expect(await running()).toEqual([]);
  });

  test("memory that ran out exits with 137", async () => {
    const code = "held = []\nwhile True: held.append(bytearray(16 * 1024 * 1024))";
    const { code: exit, stderr } = await cofferdam([
      "run",
      "-c",
      code,
      "--memory",
      "256MiB",
      ...on,
    ]);
    expect(stderr).toMatch(/memory/);
    expect(exit).toBe(137);
  });

  test("files and directories go in and out", async () => {
    using directory = scratch();
    const at = (path: string): string => join(directory.path, path);
    mkdirSync(at("in/deep/empty"), { recursive: true });
    const bytes = Uint8Array.from({ length: 20_000_000 }, (_, index) => (index * 7919) % 251);
    writeFileSync(at("in/deep/large.bin"), bytes);
    writeFileSync(at("in/small.txt"), "small");
    symlinkSync("/etc/shadow", at("in/link"));
    writeFileSync(at("data.csv"), "a,b\n1,2\n");
    const code = [
      "import os, shutil",
      "print(open('data.csv').read().count('\\n'), sorted(os.listdir('in')), os.path.isdir('in/deep/empty'))",
      "shutil.copytree('in', 'out'); os.symlink('/etc/passwd', 'out/escape')",
    ].join("\n");
    const words = [
      "--upload",
      "data.csv",
      "--upload",
      "in",
      "--download",
      "out:got",
      "--download",
      "in/small.txt:got/s.txt",
    ];
    const result = await cofferdam(["run", "-c", code, ...words, ...on], { cwd: directory.path });
    expect(result).toMatchObject({ code: 0, stdout: "2 ['deep', 'small.txt'] True\n" });
    expect(readFileSync(at("got/deep/large.bin")).equals(Buffer.from(bytes))).toBe(true);
    expect(readFileSync(at("got/s.txt"), "utf8")).toBe("small");
    expect(existsSync(at("got/escape"))).toBe(false);
    expect(result.stderr.split("\n").toSorted()).toEqual([
      "",
      "downloaded: got/deep/large.bin",
      "downloaded: got/s.txt",
      "downloaded: got/small.txt",
      "left out, because it is no regular file: in/link",
      "left out, because it is no regular file: out/escape",
    ]);
  });

  test("a download that is not there exits with 66 and leaves no file", async () => {
    using directory = scratch();
    const { code, stderr } = await cofferdam(
      ["run", "-c", "1", "--download", "nothing.txt", ...on],
      {
        cwd: directory.path,
      },
    );
    expect(stderr).toContain("nothing.txt");
    expect(code).toBe(66);
    expect(existsSync(join(directory.path, "nothing.txt"))).toBe(false);
  });

  test("a program that failed tells its own failure, and brings out what it made before", async () => {
    using directory = scratch();
    const source = "open('made.txt', 'w').write('made')\nprint(1 / 0)\n";
    writeFileSync(join(directory.path, "fails.py"), source);
    const words = ["--download", "nothing.txt", "--download", "made.txt"];
    const { code, stderr } = await cofferdam(["run", "fails.py", ...words, ...on], {
      cwd: directory.path,
    });
    expect(stderr).toContain("ZeroDivisionError");
    expect(stderr).toContain("not downloaded: path '/home/user/nothing.txt' does not exist");
    expect(stderr).toContain("downloaded: made.txt");
    expect(code).toBe(1);
    expect(existsSync(join(directory.path, "made.txt"))).toBe(true);
  });

  test("pictures are saved under the script's name, here or where asked", async () => {
    using directory = scratch();
    writeFileSync(
      join(directory.path, "plot.py"),
      "import matplotlib.pyplot as plt\nplt.plot([1, 2, 4]); plt.show()\n",
    );
    const here = await cofferdam(["run", "plot.py", ...on], { cwd: directory.path });
    expect(here).toMatchObject({ code: 0, stderr: "picture: plot-1.png\n" });
    const png = readFileSync(join(directory.path, "plot-1.png"));
    expect(png.subarray(1, 4).toString()).toBe("PNG");
    await cofferdam(["run", "plot.py", "--pictures", "shots", ...on], { cwd: directory.path });
    expect(existsSync(join(directory.path, "shots/plot-1.png"))).toBe(true);
  });

  test("--json is one document with results, output, error, driver and why, and timings", async () => {
    const good = await json(["-c", "print('x'); {'a': 1}", ...on], 0);
    expect(good).toMatchObject({ exitCode: 0, driver: name, text: "{'a': 1}", error: null });
    expect(good.choice.reason).toBe("it was asked for");
    expect(good.logs.stdout.join("")).toBe("x\n");
    for (const stage of ["createMs", "runMs", "endMs", "totalMs"])
      expect(good.timings[stage]).toBeGreaterThan(0);
    const bad = await json(["-c", "raise ValueError('why')", ...on], 1);
    expect(bad.error).toMatchObject({ name: "ValueError", value: "why" });
  });

  test("environment, limits and the template arrive", async () => {
    const code = "import os; print(os.environ['A'], os.environ['B'])";
    const words = [
      "--env",
      "A=1=2",
      "--env",
      "B=ü",
      "--cpus",
      "1",
      "--pids",
      "100",
      "--disk",
      "256MiB",
    ];
    expect(await cofferdam(["run", "-c", code, ...words, ...on])).toMatchObject({
      code: 0,
      stdout: "1=2 ü\n",
    });
    const missing = await cofferdam(["run", "-c", "1", "--template", "no-such", ...on]);
    expect(missing).toMatchObject({ code: 66, stdout: "" });
    expect(missing.stderr).toContain("no-such");
  });

  test("a seccomp profile in a file is the sandbox's", async () => {
    using directory = scratch();
    const profile = {
      defaultAction: "SCMP_ACT_ALLOW",
      syscalls: [{ names: ["mkdir", "mkdirat"], action: "SCMP_ACT_ERRNO" }],
    };
    writeFileSync(join(directory.path, "profile.json"), JSON.stringify(profile));
    const words = ["run", "-c", "import os; os.mkdir('/tmp/x')", "--seccomp", "profile.json"];
    const { code, stderr } = await cofferdam([...words, ...on], { cwd: directory.path });
    expect(stderr).toContain("Errno 1]");
    expect(code).toBe(1);
  });

  test("a failure for want of a network or of a file that lies on the host comes with a hint", async () => {
    using directory = scratch();
    writeFileSync(join(directory.path, "data.csv"), "");
    const hinted = async (code: string, ...words: readonly string[]): Promise<string> => {
      const ran = await cofferdam(["run", "-c", code, ...words, ...on], { cwd: directory.path });
      expect(ran.code).toBe(1);
      return ran.stderr.trimEnd().split("\n").at(-1) ?? "";
    };
    const away = "import urllib.request; urllib.request.urlopen('https://example.org')";
    expect(await hinted(away)).toMatch(/^cofferdam: nothing leaves this sandbox/);
    expect(await hinted("open('data.csv')")).toMatch(/--upload data\.csv$/);
    expect(await hinted("open('other.csv')")).toContain("FileNotFoundError");
    const document = await json(["-c", away, ...on], 1);
    expect(document.hints).toHaveLength(1);
  });

  test("Ctrl-C, SIGTERM and SIGHUP end the sandbox and exit as a shell expects", async () => {
    for (const [signal, exit] of [
      ["SIGINT", 130],
      ["SIGTERM", 143],
      ["SIGHUP", 129],
    ] as const) {
      const code = "print('begun', flush=True)\nimport time\ntime.sleep(1000)";
      const result = await cofferdam(["run", "-c", code, ...on], {
        meanwhile: async (it) => {
          await it.printed("begun");
          it.child.kill(signal);
        },
      });
      expect(result.code).toBe(exit);
      expect(result.stderr).toContain(`interrupted by ${signal}`);
      expect(await running()).toEqual([]);
    }
  });

  test("a reader that leaves ends the run quietly and its sandbox too", async () => {
    const code = "while True: print('y' * 1000)";
    const result = await cofferdam(["run", "-c", code, ...on], {
      meanwhile: async (it) => {
        await it.printed("yyy");
        it.child.stdout?.destroy();
      },
    });
    expect(result).toMatchObject({ code: 141, stderr: "" });
    expect(await running()).toEqual([]);
  });
});

async function json(words: readonly string[], exit: number): Promise<Document> {
  const result = await cofferdam(["run", "--json", ...words]);
  expect([result.code, result.stderr]).toEqual([exit, ""]);
  const document: Document = JSON.parse(result.stdout);
  return document;
}
