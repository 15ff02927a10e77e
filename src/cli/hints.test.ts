import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { networkHint, tail, uploadHint } from "./hints.ts";

const directory = mkdtempSync(join(tmpdir(), "cofferdam-hints-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));
mkdirSync(join(directory, "data"));
for (const name of ["data.csv", "data/a b.csv", "data/b.csv", ".env", "x;id"])
  writeFileSync(join(directory, name), "");

const closed = { name: "gvisor", capabilities: new Set<string>() };

describe("no way out", () => {
  test.each([
    "curl: (6) Could not resolve host: example.org",
    "socket.gaierror: [Errno -3] Temporary failure in name resolution",
    "E: Temporary failure resolving 'deb.debian.org'",
    "OSError: [Errno 101] Network is unreachable",
    "Error: getaddrinfo EAI_AGAIN registry.npmjs.org",
    "dial tcp 1.1.1.1:443: connect: network is unreachable",
  ])("is told for: %s", (said) => {
    expect(networkHint(said, closed)).toContain("gvisor gives it no network but loopback");
    const open = { name: "gvisor", capabilities: new Set(["egress"]) };
    expect(networkHint(said, open)).toContain("--allow-out");
  });

  test.each(["ZeroDivisionError: division by zero", "connect ECONNREFUSED 127.0.0.1:1", ""])(
    "is not told for: %s",
    (said) => {
      expect(networkHint(said, closed)).toBeUndefined();
    },
  );
});

describe("a file of the host that was not brought in", () => {
  test.each([
    ["FileNotFoundError: [Errno 2] No such file or directory: 'data.csv'", "--upload data.csv"],
    ["No such file or directory: 'data/b.csv'", "--upload data/b.csv:data/b.csv"],
    ["Error: ENOENT: no such file or directory, open 'data.csv'", "--upload data.csv"],
    ["cat: data.csv: No such file or directory\n", "--upload data.csv"],
  ])("is told for: %s", (said, mend) => {
    expect(uploadHint(said, directory)?.endsWith(mend)).toBe(true);
  });

  test.each([
    "missing.csv",
    "/etc/passwd",
    "../etc/passwd",
    ".env",
    "x;id",
    "data/../data.csv",
    "data/a b.csv",
  ])("is not told for %s", (path) => {
    expect(uploadHint(`No such file or directory: '${path}'`, directory)).toBeUndefined();
  });
});

test("the end of a flood is kept, and a letter that came in halves is whole", () => {
  const kept = tail();
  for (let count = 0; count < 1000; count += 1) kept.take("x".repeat(1000));
  for (const byte of new TextEncoder().encode("ü")) kept.take(Uint8Array.of(byte));
  expect(kept.text).toHaveLength(8192);
  expect(kept.text.endsWith("xü")).toBe(true);
});
