import { beforeEach, describe, expect, test } from "vitest";
import { cofferdam, running, subjects } from "./cofferdam.ts";

describe.each(await subjects())("exec, create, ls and kill on $name", ({ name, absent }) => {
  const fresh = ["exec", "--driver", name, "--template", "base"];
  beforeEach(({ skip }) => {
    if (absent !== undefined) skip(`not run: ${absent}`);
  });

  test("input, output and error output pass byte for byte and apart", async () => {
    const bytes = Uint8Array.from({ length: 2_000_000 }, (_, index) => (index * 31) % 256);
    const copied = await cofferdam([...fresh, "--", "cat"], { input: bytes });
    expect(copied.code).toBe(0);
    expect(copied.bytes.equals(Buffer.from(bytes))).toBe(true);
    const apart = await cofferdam([...fresh, "--", "sh", "-c", "echo out; echo err >&2"]);
    expect(apart).toMatchObject({ code: 0, stdout: "out\n", stderr: "err\n" });
  });

  test("the exit code is the program's own, or tells how it ended", async () => {
    const ends = [
      [["--", "sh", "-c", "exit 42"], 42],
      [["--", "sh", "-c", "kill -TERM $$"], 143],
      [["--timeout", "1s", "--", "sleep", "1000"], 124],
    ] as const;
    for (const [words, exit] of ends) {
      expect((await cofferdam([...fresh, ...words])).code).toBe(exit);
    }
    const missing = await cofferdam([...fresh, "--", "no-such-program"]);
    expect(missing.stderr).toContain("no-such-program");
    expect(missing.code).toBe(66);
    expect(await running()).toEqual([]);
  });

  test("words behind -- belong to the command, whatever they look like", async () => {
    const words = ["--json", "--help", "-v", "--", "a b", ""];
    const { stdout } = await cofferdam([
      ...fresh,
      "--",
      "python3",
      "-c",
      "import sys; print(sys.argv[1:])",
      ...words,
    ]);
    expect(stdout).toBe("['--json', '--help', '-v', '--', 'a b', '']\n");
  });

  test("user, directory and environment of a command are as asked", async () => {
    const words = ["--user", "root", "--cwd", "/tmp", "--env", "A=b"];
    const { stdout } = await cofferdam([
      ...fresh,
      ...words,
      "--",
      "sh",
      "-c",
      "id -un; pwd; echo $A",
    ]);
    expect(stdout).toBe("root\n/tmp\nb\n");
  });

  test("a sandbox that lives on is listed, used by its id from other processes, and killed once", async () => {
    const made = await cofferdam([
      "create",
      "--driver",
      name,
      "--template",
      "base",
      "--metadata",
      "who=\u001b[31mme",
    ]);
    const id = made.stdout.trim();
    expect(id).toMatch(/^i[a-z0-9]{20}$/);
    expect(await running()).toContain(id);
    await cofferdam(["exec", id, "--", "sh", "-c", "echo kept > note"]);
    const other = name === "runc" ? "gvisor" : "runc";
    for (const words of [
      ["exec", id, "--driver", other, "--", "true"],
      ["kill", id, "--driver", other],
    ]) {
      const missed = await cofferdam(words);
      expect(missed.stderr).toContain(`runs on ${name}`);
      expect(missed.code).toBe(66);
    }
    expect((await cofferdam(["exec", id, "--", "cat", "note"])).stdout).toBe("kept\n");
    const listed = await cofferdam(["ls"]);
    expect(listed.stdout).toContain(String.raw`who=\x1b[31mme`);
    const [killed, again] = [await cofferdam(["kill", id]), await cofferdam(["kill", id])];
    expect(killed).toMatchObject({ code: 0, stdout: `${id}\n` });
    expect(again).toMatchObject({ code: 66, stdout: "" });
    expect(await running()).toEqual([]);
    const gone = await cofferdam(["exec", id, "--", "true"]);
    expect(gone.code).toBe(66);
    expect(gone.stderr).toContain("it was killed");
  });

  test("kill --all ends them all", async () => {
    const create = ["create", "--driver", name, "--template", "base"];
    const made = await Promise.all([cofferdam(create), cofferdam(create)]);
    const { stdout } = await cofferdam(["kill", "--all"]);
    expect(stdout.trim().split("\n").toSorted()).toEqual(
      made.map((each) => each.stdout.trim()).toSorted(),
    );
    expect(await running()).toEqual([]);
  });

  test("what leaves a sandbox is nothing: an attempt fails and is seen", async () => {
    const { code, stderr, stdout } = await cofferdam([
      ...fresh,
      "--",
      "curl",
      "-sS",
      "-m",
      "5",
      "https://example.org",
    ]);
    expect(stdout).toBe("");
    expect(stderr).toMatch(/curl: \(\d+\)/);
    expect(stderr).toMatch(/\ncofferdam: nothing leaves this sandbox.*\n$/);
    expect(code).toBeGreaterThan(0);
  });
});
