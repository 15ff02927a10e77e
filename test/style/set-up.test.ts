import { execFileSync } from "node:child_process";
import { expect, test } from "vitest";
import { judgeVersion } from "../../src/drivers/local/versions.ts";

const versions = [
  "1.0.0-rc6",
  "1.1.5+ds1",
  "1.1.12",
  "1.1.15+ds1",
  "1.2.7",
  "1.2.8",
  "1.3.2",
  "1.3.3",
  "1.3.6+ds1",
  "1.4.0-rc.2",
  "1.4.0-rc.3",
  "1.4.0",
  "2.0.0",
  "unknown",
];

test("set-up and the drivers judge a runC's version alike", () => {
  const program = `
    const { runcHasKnownEscape } = await import("./scripts/setup/known-escapes.mjs");
    console.log(JSON.stringify(${JSON.stringify(versions)}.map(runcHasKnownEscape)));`;
  const printed = execFileSync(process.execPath, ["--input-type=module", "-e", program], {
    encoding: "utf8",
  });
  const refused = versions.map((version) => judgeVersion("runc", version).reason !== undefined);
  expect(JSON.parse(printed)).toEqual(refused);
  expect(new Set(refused).size).toBe(2);
});
