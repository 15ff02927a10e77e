import { mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { firecracker } from "./index.ts";
import { rateLimiter, seccompFilter } from "./options.ts";

const directory = mkdtempSync(join(tmpdir(), "cofferdam-options-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

test("rates become buckets that refill each second", () => {
  expect(rateLimiter({})).toBeUndefined();
  expect(rateLimiter({ bytesPerSecond: 1000 })).toEqual({
    bandwidth: { size: 1000, refill_time: 1000 },
  });
  expect(rateLimiter({ operationsPerSecond: 5 })).toEqual({ ops: { size: 5, refill_time: 1000 } });
});

test.each([0, -1, 0.5, Number.NaN, Infinity])("the rate %d is refused by field", (rate) => {
  expect(() => firecracker({ stateDir: directory, diskRate: { bytesPerSecond: rate } })).toThrow(
    expect.objectContaining({ code: "invalid", field: "diskRate.bytesPerSecond" }),
  );
});

test("a filter that is none is refused by field", () => {
  const refused = expect.objectContaining({ code: "invalid", field: "seccompFilter" });
  const file = join(directory, "filter");
  expect(() => seccompFilter(file)).toThrow(refused);
  writeFileSync(file, "");
  expect(() => seccompFilter(file)).toThrow(refused);
  truncateSync(file, 2_000_000);
  expect(() => seccompFilter(file)).toThrow(refused);
  writeFileSync(file, "filter");
  expect(seccompFilter(file).toString()).toBe("filter");
});
