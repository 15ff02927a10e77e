import { array, assert, integer, property } from "fast-check";
import { expect, test } from "vitest";
import { allBut } from "./masks.ts";

const max = 0xffffffff;

test("the masks hold every number but those that are named", () => {
  const numbers = array(integer({ min: 0, max }), { minLength: 1, maxLength: 5 });
  assert(
    property(
      numbers,
      integer({ min: 0, max }),
      integer({ min: 0, max: 31 }),
      (named, other, bit) => {
        const masks = allBut(named);
        const holds = (number: number): boolean =>
          masks.some(({ mask, value }) => (number & mask) >>> 0 === value);
        const near = ((named[0] ?? 0) ^ (1 << bit)) >>> 0;
        return (
          named.every((each) => !holds(each)) &&
          [other, near].every((each) => holds(each) !== named.includes(each))
        );
      },
    ),
  );
});

test("nothing named is everything", () => {
  expect(allBut([])).toEqual([{ mask: 0, value: 0 }]);
});
