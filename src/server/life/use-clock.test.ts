import { expect, test, vi } from "vitest";
import { useClock } from "./use-clock.ts";

test("a sandbox is idle when nobody has used it for so long, and not while somebody does", () => {
  vi.useFakeTimers();
  try {
    const told = vi.fn<() => void>();
    const clock = useClock(1000, told);
    clock.start();
    vi.advanceTimersByTime(999);
    const [first, second] = [clock.use(), clock.use()];
    vi.advanceTimersByTime(5000);
    first();
    first();
    vi.advanceTimersByTime(5000);
    expect(told).not.toHaveBeenCalled();
    second();
    vi.advanceTimersByTime(999);
    expect(told).not.toHaveBeenCalled();
    vi.advanceTimersByTime(1);
    expect(told).toHaveBeenCalledOnce();
    useClock(0, told).start();
    vi.advanceTimersByTime(1_000_000);
    expect(told).toHaveBeenCalledOnce();
  } finally {
    vi.useRealTimers();
  }
});

test("a clock that is stopped tells nothing, and one that is started again waits as told", () => {
  vi.useFakeTimers();
  try {
    const told = vi.fn<() => void>();
    const clock = useClock(1000, told);
    clock.start();
    const leave = clock.use();
    expect([clock.wasUsed(), clock.wasUsed()]).toEqual([true, true]);
    clock.stop();
    leave();
    vi.advanceTimersByTime(10_000);
    expect(told).not.toHaveBeenCalled();
    expect([clock.wasUsed(), clock.wasUsed()]).toEqual([true, false]);
    clock.start(300);
    vi.advanceTimersByTime(299);
    expect(told).not.toHaveBeenCalled();
    vi.advanceTimersByTime(1);
    expect(told).toHaveBeenCalledOnce();
  } finally {
    vi.useRealTimers();
  }
});
