import { describe, expect, test } from "vitest";
import { SandboxError } from "../core/errors.ts";
import { type AttemptMade, alternate, sideResult } from "./measure.ts";

describe("the two sides", () => {
  test("take turns, and who is first changes", async () => {
    const made: string[] = [];
    await alternate({
      ours: (index) => Promise.resolve(void made.push(`ours ${index}`)).then(() => 1),
      raw: (index) => Promise.resolve(void made.push(`raw ${index}`)).then(() => 1),
      count: 3,
      warmups: 1,
      signal: undefined,
      onAttempt: () => undefined,
    });
    expect(made).toEqual([
      "raw -1",
      "ours -1",
      "ours 0",
      "raw 0",
      "raw 1",
      "ours 1",
      "ours 2",
      "raw 2",
    ]);
  });

  test("keep all that was measured, and neither warm-ups nor failures among it", async () => {
    const told: AttemptMade[] = [];
    const { ours, raw } = await alternate({
      ours: (index) =>
        index % 2 === 0
          ? Promise.resolve(index)
          : Promise.reject(new SandboxError(index < 3 ? "lost" : "exhausted", `at ${index}`)),
      raw: undefined,
      count: 6,
      warmups: 2,
      signal: undefined,
      onAttempt: (attempt) => told.push(attempt),
    });
    expect(ours.samples).toEqual([0, 2, 4]);
    expect(ours.failures).toEqual([
      { code: "lost", message: "at 1", count: 1 },
      { code: "exhausted", message: "at 3", count: 2 },
    ]);
    expect(raw).toBeUndefined();
    expect(told.map(({ index }) => index)).toEqual([-2, -1, 0, 1, 2, 3, 4, 5]);
    expect(sideResult("what", ours)).toMatchObject({ n: 3, p50: 2, max: 4 });
  });

  test("stop at a cancellation", async () => {
    const abort = new AbortController();
    const running = alternate({
      ours: (index) => {
        if (index === 2) abort.abort();
        return Promise.resolve(1);
      },
      raw: undefined,
      count: 1000,
      warmups: 0,
      signal: abort.signal,
      onAttempt: () => undefined,
    });
    await expect(running).rejects.toMatchObject({ code: "cancelled" });
  });
});
