import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { overrideAuditFile, recordOverride } from "./override-audit.ts";
import { runtimeFinder } from "../local/runtime.ts";

const directory = mkdtempSync(join(tmpdir(), "override-"));
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const override = {
  driver: "runc",
  runtime: "/usr/sbin/runc",
  version: "1.1.5",
  escapes: ["CVE-2024-21626"],
};

test("an override is recorded as a line of its own, for root's eyes alone", () => {
  recordOverride(join(directory, "state"), override);
  recordOverride(join(directory, "state"), override);
  const file = overrideAuditFile(join(directory, "state"));
  const lines = readFileSync(file, "utf8").trimEnd().split("\n");
  expect(lines.map((line) => JSON.parse(line))).toEqual([
    expect.objectContaining({ event: "known-escapes-allowed", ...override }),
    expect.objectContaining({ event: "known-escapes-allowed", ...override }),
  ]);
  expect(statSync(file).mode & 0o777).toBe(0o600);
});

test("an override that cannot be recorded is refused by field", () => {
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, "file"), "");
  expect(() => recordOverride(join(directory, "file"), override)).toThrow(
    expect.objectContaining({ code: "internal", field: "allowKnownEscapes" }),
  );
});

test("a runtime with a known escape is refused, and used only when that is allowed", async () => {
  mkdirSync(directory, { recursive: true });
  const path = join(directory, "runc");
  writeFileSync(path, "#!/bin/sh\necho runc version 1.1.5\n");
  chmodSync(path, 0o755);
  const program = { candidates: [path], version: /^runc version (\S+)/m, mend: "npm run setup" };
  const find = (allowKnownEscapes: boolean) =>
    runtimeFinder({ driver: "runc", program, allowKnownEscapes })();
  await expect(find(false)).rejects.toMatchObject({ code: "unavailable", mend: "npm run setup" });
  expect((await find(true)).overridden).toContain("CVE-2024-21626");
});
