import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { type Ran, cofferdam, scratch } from "./cofferdam.ts";

/** What stands on stderr, or in the JSON document, for each wrong use. */
const refusals: readonly {
  readonly words: readonly string[];
  readonly code: number;
  readonly says: readonly string[];
}[] = [
  { words: ["rnu"], code: 64, says: ["unknown command 'rnu'", "did you mean run?"] },
  {
    words: ["run", "-c", "1", "--drver", "x"],
    code: 64,
    says: ["--drver", "did you mean --driver?"],
  },
  {
    words: ["run", "-c", "1", "--driver", "gvisr"],
    code: 64,
    says: ["gvisr", "did you mean gvisor?"],
  },
  { words: ["run", "-c", "1", "--language", "pyton"], code: 64, says: ["did you mean python?"] },
  { words: ["run", "-c", "1", "--template", "no/such"], code: 64, says: ["--template"] },
  { words: ["run", "-c", "1", "--memory", "12GB"], code: 64, says: ["--memory", "write 12GiB"] },
  { words: ["run", "-c", "1", "--memory", "8"], code: 64, says: ["--memory", "from 32 to"] },
  { words: ["run", "-c", "1", "--cpus", "many"], code: 64, says: ["--cpus"] },
  { words: ["run", "-c", "1", "--timeout", "30"], code: 64, says: ["write 30s or 30ms"] },
  { words: ["run", "-c", "1", "--env", "HOME"], code: 64, says: ["NAME=VALUE"] },
  {
    words: ["run", "-c", "1", "--upload", "missing-file"],
    code: 66,
    says: ["missing-file does not exist"],
  },
  { words: ["run", "missing.py"], code: 66, says: ["missing.py does not exist"] },
  { words: ["run", "/"], code: 64, says: ["is a directory"] },
  {
    words: ["run", "-c", "1", "--driver", "runc", "--allow-out", "example.org"],
    code: 69,
    says: ["lets nothing out", "--allow-out"],
  },
  {
    words: ["run", "-c", "1", "--driver", "gvisor", "--allow-internet-access"],
    code: 69,
    says: ["lets nothing out", "--allow-internet-access"],
  },
  { words: ["run", "-c", "1", "--seccomp", "/no/such"], code: 66, says: ["/no/such", "--seccomp"] },
  { words: ["run", "-c", "1", "--seccomp", "/etc/passwd"], code: 64, says: ["is not JSON"] },
  { words: ["run"], code: 64, says: ["exactly one of"] },
  { words: ["audit", "verify"], code: 66, says: ["no server has run", "cofferdam serve"] },
  { words: ["backup", "copy.sqlite"], code: 66, says: ["no server has run", "--state-dir"] },
  { words: ["key", "ls"], code: 66, says: ["no server has run", "--state-dir"] },
  { words: ["key", "revoke", "k1"], code: 66, says: ["no server has run", "--state-dir"] },
  { words: ["ls", "--qqqqqq"], code: 64, says: ["--qqqqqq", "add --help"] },
  { words: ["exec", "nosuch", "--", "ls"], code: 64, says: ["sandboxId", "cofferdam ls"] },
  { words: ["run", "a.py", "b.py"], code: 64, says: ["too many arguments"] },
  { words: ["run", "-c", "1", "--", "x"], code: 64, says: ["only exec"] },
  { words: ["exec"], code: 64, says: ["cofferdam exec -- ls -la"] },
  {
    words: ["exec", "i00000000000000000000", "ls", "-la"],
    code: 64,
    says: ["unknown option '-la'", "put the command behind --"],
  },
  {
    words: ["exec", "i00000000000000000000", "ls"],
    code: 64,
    says: ["too many arguments", "put the command behind --"],
  },
  { words: ["exec", "python3", "--version"], code: 64, says: ["put the command behind --"] },
  {
    words: ["run", "-c", "1", "--driver", "modal"],
    code: 64,
    says: ["modal is not built yet", "gvisor", "runc"],
  },
  {
    words: ["--server", "http://127.0.0.1:1", "--api-key", "e2b_none", "ls"],
    code: 64,
    says: ["--state-dir"],
  },
  { words: ["--api-key", "e2b_key_of_mine", "ls"], code: 64, says: ["add --server URL"] },
  { words: ["exec", "not-an-id", "--", "ls"], code: 64, says: ["an id is"] },
  {
    words: ["exec", "i00000000000000000000", "--memory", "1GiB", "--", "ls"],
    code: 64,
    says: ["--memory"],
  },
  { words: ["exec", "--tty", "--", "ls"], code: 64, says: ["is not a terminal"] },
  {
    words: ["exec", "i00000000000000000000", "--", "ls"],
    code: 66,
    says: ["i00000000000000000000"],
  },
  { words: ["shell"], code: 64, says: ["is not a terminal"] },
  { words: ["kill"], code: 64, says: ["--all"] },
  { words: ["kill", "i00000000000000000000"], code: 66, says: ["i00000000000000000000"] },
  { words: ["template"], code: 64, says: ["a command is missing"] },
  { words: ["template", "build", "nope"], code: 66, says: ["nope", "code-interpreter"] },
  { words: ["template", "rm", "nope"], code: 66, says: ["nope"] },
  {
    words: ["doctor", "--driver", "runc", "--topic", "isolatio"],
    code: 64,
    says: ["did you mean isolation?"],
  },
  { words: ["doctor", "--filter", "x"], code: 64, says: ["--filter needs --driver"] },
  { words: ["bench", "--scenario", "cold-strat"], code: 64, says: ["did you mean cold-start?"] },
  { words: ["--state-dir", "relative", "ls"], code: 64, says: ["not an absolute path"] },
];

describe.concurrent("wrong use says what is wrong and what mends it, and prints nothing on stdout", () => {
  test.each(refusals)("$words", async ({ words, code, says }) => {
    const ran = await cofferdam(words);
    expect(ran.stderr).toMatch(/^cofferdam: /);
    for (const text of says) expect(ran.stderr).toContain(text);
    expect([ran.code, ran.stdout]).toEqual([code, ""]);
  });
});

test("with --json an error is one document on stdout with its code, message, field and mend", async () => {
  const ran = await cofferdam(["run", "-c", "1", "--memory", "12GB", "--json"]);
  expect(errorOf(ran)).toEqual({
    code: "invalid",
    message: 'resources.memoryMiB: "GB" in "12GB" can mean powers of 1000 or of 1024',
    field: "resources.memoryMiB",
    mend: "write 12GiB for powers of 1024",
  });
  expect([ran.code, ran.stderr]).toEqual([64, ""]);
});

test("scripts that are no text, too long or not readable are refused with their path", async () => {
  using directory = scratch();
  const write = (name: string, content: string | Uint8Array): string => {
    const path = join(directory.path, name);
    writeFileSync(path, content);
    return path;
  };
  const cases = [
    {
      file: write("latin.py", Uint8Array.of(0x70, 0xff, 0x0a)),
      code: 64,
      says: "is not UTF-8 text",
    },
    { file: write("nul.py", "print(1)\0"), code: 64, says: "NUL byte" },
    {
      file: write("long.py", "#".repeat(9 * 1024 * 1024)),
      code: 64,
      says: "longer than the 8 MiB",
    },
    { file: write("notes.txt", "print(1)"), code: 64, says: "does not tell the language" },
  ];
  for (const { file, code, says } of cases) {
    const ran = await cofferdam(["run", file]);
    expect(ran.stderr).toContain(says);
    expect(ran.code).toBe(code);
  }
});

test("another user than root is told so before anything starts, also for a script that it may not read", async () => {
  using directory = scratch();
  chmodSync(directory.path, 0o755);
  const secret = join(directory.path, "secret.py");
  writeFileSync(secret, "print(1)", { mode: 0o600 });
  mkdirSync(join(directory.path, "open"));
  const nobody = { uid: 65_534, cwd: "/" };
  const denied = await cofferdam(["run", "-c", "1"], nobody);
  expect(denied.stderr).toContain("need root");
  expect(denied.stderr).toContain("sudo");
  expect(denied.code).toBe(77);
  const unreadable = await cofferdam(["run", secret], nobody);
  expect(unreadable.stderr).toContain(`${secret} may not be used by this user`);
  expect(unreadable.code).toBe(77);
});

test("help has examples and the version is the package's", async () => {
  for (const words of [["--help"], ["run", "--help"], ["exec", "--help"], ["doctor", "--help"]]) {
    const { code, stdout } = await cofferdam(words);
    expect(stdout).toContain("Examples:");
    expect(code).toBe(0);
  }
  expect((await cofferdam(["--version"])).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
});

function errorOf(ran: Ran): unknown {
  const document: { readonly error: unknown } = JSON.parse(ran.stdout);
  return document.error;
}

test("doctor tells another user than root what the host has, and what is missing to know the rest", async () => {
  using place = scratch();
  chmodSync(place.path, 0o700);
  const words = ["--state-dir", place.path, "doctor"];
  const nobody = { uid: 65_534, cwd: "/" };
  const { code, stdout, stderr } = await cofferdam(words, nobody);
  expect([code, stderr]).toEqual([69, ""]);
  expect(stdout).toMatch(/^Host\nkernel .*\n(.*\n)*root +no\n/);
  expect(stdout).toContain("need root");
  expect(stdout).toMatch(/Templates\n +not known: .*\n +mend: .* sudo\n$/);
  expect(JSON.parse((await cofferdam([...words, "--json"], nobody)).stdout)).toMatchObject({
    facts: { root: false },
    templates: null,
  });
});
