import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";

const pngSignature = "89504e470d0a1a0a";

test("the quickstart saves a plot, shows the failed download, and says who ran it and what enforced it", () => {
  const output = mkdtempSync(join(tmpdir(), "cofferdam-quickstart-"));
  try {
    const program = "examples/quickstart/quickstart.mjs";
    const { status, stdout, stderr } = spawnSync(process.execPath, [program, output], {
      encoding: "utf8",
    });
    expect(stderr).toBe("");
    expect(status).toBe(0);
    expect(stdout).toMatch(/^Driver +(gvisor|runc): /m);
    expect(stdout).toContain("1461 days, 2012-01-01 to 2015-12-31");
    expect(stdout).toMatch(/curl: \(6\) Could not resolve host: tools\.example\.com/);
    expect(stdout).toMatch(/^ {2}egress +nothing leaves$/m);
    expect(stdout).toMatch(/^ {2}run the script +\d+ ms$/m);
    const plot = readFileSync(join(output, "seattle-weather.png"));
    expect(plot.subarray(0, 8).toString("hex")).toBe(pngSignature);
    expect(plot.length).toBeGreaterThan(10_000);
  } finally {
    rmSync(output, { recursive: true, force: true });
  }
});
