import { array, assert, dictionary, property, string } from "fast-check";
import { expect, test } from "vitest";
import { listQuery } from "./list-query.ts";

/** As the clients write it; the query's own encoding is taken away by whoever reads the query. */
function encoded(metadata: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(metadata).map(([name, value]): [string, string] => [
    encodeURIComponent(name),
    encodeURIComponent(value),
  ]);
  return new URLSearchParams(pairs).toString();
}

const text = string({ unit: "grapheme", maxLength: 20 });

test("every metadata filter is read as it was meant", () => {
  const pairs = dictionary(text, text, { noNullPrototype: true });
  assert(
    property(pairs, (metadata) => {
      const read = listQuery.parse({ metadata: encoded(metadata), states: [] });
      expect(Object.entries(read.metadata ?? {})).toEqual(Object.entries(metadata));
    }),
  );
  expect(listQuery.parse({ metadata: "x=y%2520z", states: [] }).metadata).toEqual({ x: "y z" });
});

test("no text of a query makes anything but a value or a refusal", () => {
  assert(
    property(string(), array(string()), (metadata, states) => {
      const { success } = listQuery.safeParse({ metadata, states, limit: metadata });
      expect(typeof success).toBe("boolean");
    }),
  );
});

test("states may be repeated or joined, and are all when none is named", () => {
  expect(listQuery.parse({ states: ["running,paused"] }).states).toEqual(["running", "paused"]);
  expect(listQuery.parse({ states: ["paused", "running"] }).states).toEqual(["paused", "running"]);
  expect(listQuery.parse({ states: [] }).states).toEqual(["running", "paused"]);
  expect(listQuery.safeParse({ states: ["ended"] }).success).toBe(false);
});
