import { inspect } from "node:util";
import { describe, expect, test } from "vitest";
import { SandboxError } from "../../src/core/errors.ts";
import { hostileMachine, malices } from "./hostile-agent.ts";
import { operations } from "./operations.ts";

/** How long a caller waits before it aborts, and how long after that it may take until the call is over. */
const patienceMs = 1500;
const graceMs = 10_000;

/** Calls of the seam that take no signal, and so may wait as long as the client's own limit. */
const withoutSignal = new Set([
  "processes",
  "attach",
  "list contexts",
  "create a context",
  "isRunning",
  "info",
  "kill of a spawned process",
]);

interface Outcome {
  readonly operation: string;
  readonly threw: unknown;
}

async function attempt(operation: string, malice: keyof typeof malices): Promise<Outcome> {
  const act = operations[operation];
  const play = malices[malice];
  if (act === undefined || play === undefined) throw new Error("unknown name");
  await using hostile = await hostileMachine(play);
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<Outcome>((resolve) => {
    const limitMs = withoutSignal.has(operation) ? 75_000 : patienceMs + graceMs;
    timer = setTimeout(() => resolve({ operation, threw: new Error("it hangs") }), limitMs);
  });
  const called = act(hostile.machine, AbortSignal.timeout(patienceMs)).then(
    () => ({ operation, threw: undefined }),
    (threw: unknown) => ({ operation, threw }),
  );
  try {
    return await Promise.race([called, late]);
  } finally {
    clearTimeout(timer);
  }
}

describe("a guest whose agent lies", () => {
  for (const malice of Object.keys(malices)) {
    test(
      `${malice}: every call ends with an answer or a typed error, in bounded memory`,
      { timeout: 120_000 },
      async () => {
        const before = process.memoryUsage().rss;
        const outcomes = await Promise.all(
          Object.keys(operations).map((operation) => attempt(operation, malice)),
        );
        for (const { operation, threw } of outcomes) {
          if (threw === undefined) continue;
          expect(threw, `${operation}: ${inspect(threw)}`).toBeInstanceOf(SandboxError);
          if (!(threw instanceof SandboxError)) continue;
          expect(
            threw.code,
            `${operation} blames the guest, not this library: ${threw.stack}`,
          ).not.toBe("internal");
          expect(threw.message, `${operation}: no escapes in the message`).not.toMatch(
            // oxlint-disable-next-line no-control-regex
            /[\u0000-\u0008\u000b-\u001f\u007f\u202a-\u202e]/,
          );
          expect(threw.message.length).toBeLessThan(4096);
        }
        expect(Object.prototype).not.toHaveProperty("polluted");
        expect(
          (process.memoryUsage().rss - before) / 2 ** 20,
          "MiB that this process grew",
        ).toBeLessThan(700);
      },
    );
  }
});
