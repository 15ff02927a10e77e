import { expect, test } from "vitest";
import { atMost } from "./at-most.ts";

test("no more than the limit work at once, all come to their turn in order, and a failure frees its place", async () => {
  const turn = atMost(3);
  const begun: number[] = [];
  let working = 0;
  let most = 0;
  const works = Array.from({ length: 20 }, (_, index) =>
    turn(async () => {
      begun.push(index);
      working += 1;
      most = Math.max(most, working);
      await new Promise((resolve) => setTimeout(resolve, 1));
      working -= 1;
      if (index % 3 === 0) throw new Error("failed");
      return index;
    }),
  );
  const settled = await Promise.allSettled(works);
  expect(most).toBe(3);
  expect(begun).toEqual(Array.from({ length: 20 }, (_, index) => index));
  expect(settled.filter(({ status }) => status === "rejected")).toHaveLength(7);
});
