import { expect, test, vi } from "vitest";
import { useClock } from "./use-clock.ts";

test("a sandbox is idle when nobody has used it for so long, and not while somebody does", () => {
  vi.useFakeTimers();
  try {
    const told = vi.fn<() => void>();
    const clock = useClock(1000, told);
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
    useClock(0, told);
    vi.advanceTimersByTime(1_000_000);
    expect(told).toHaveBeenCalledOnce();
  } finally {
    vi.useRealTimers();
  }
});
