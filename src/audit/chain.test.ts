import { createHash } from "node:crypto";
import { isDeepStrictEqual } from "node:util";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { canonicalJson, chained, isIntact, noHash, recordOf } from "./chain.ts";

const reversed = (value: Readonly<Record<string, unknown>>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(value).toReversed());

test("canonical JSON says what JSON says, whatever order the keys were set in", () => {
  const value = fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 2 }));
  fc.assert(
    fc.property(value, (each) => {
      const canonical = canonicalJson(each);
      expect(isDeepStrictEqual(JSON.parse(canonical), JSON.parse(JSON.stringify(each)))).toBe(true);
      expect(canonicalJson(reversed(each))).toBe(canonical);
      expect(canonicalJson(JSON.parse(canonical))).toBe(canonical);
    }),
  );
});

test("keys are sorted by their UTF-16 units, numbers among them", () => {
  expect(canonicalJson({ b: 1, 10: 2, 9: 3, é: [{ z: null, a: "\n" }], a: true })).toBe(
    '{"10":2,"9":3,"a":true,"b":1,"é":[{"a":"\\n","z":null}]}',
  );
});

test("the hash can be recomputed from a record by anybody who knows its definition", () => {
  const entry = {
    tenantId: "t1",
    actor: "k1",
    action: "sandbox.create",
    sandboxId: "i1",
    from: "127.0.0.1",
    result: "ok",
    details: { template: "base" },
  };
  const row = chained(entry, { seq: 0, hash: noHash, at: "2026-01-01T00:00:00.000Z" });
  const content =
    '{"action":"sandbox.create","actor":"k1","at":"2026-01-01T00:00:00.000Z","details":{"template":"base"},' +
    '"from":"127.0.0.1","result":"ok","sandboxId":"i1","seq":1,"tenantId":"t1"}';
  const hash = createHash("sha256")
    .update(`${"0".repeat(64)}\n${content}`)
    .digest("hex");
  expect(recordOf(row)).toEqual({ ...entry, seq: 1, at: row.at, previous: noHash, hash });
  expect(isIntact(row)).toBe(true);
  expect(isIntact({ ...row, body: content.replace('"ok"', '"no"') })).toBe(false);
});
