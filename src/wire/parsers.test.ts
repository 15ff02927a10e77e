import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { codeThrownBy } from "../../test/support/refusals.ts";
import { SandboxError } from "../core/errors.ts";
import { parseCodeLine, parseContext, parseContexts } from "./code-events.ts";
import { connectErrorBody, errorCodeOf, parseConnectError } from "./connect-errors.ts";
import {
  parseEntriesAnswer,
  parseEntryAnswer,
  parseWatchMessage,
  parseWritten,
} from "./entries.ts";
import { parseJson } from "./json.ts";
import { parseProcessEvent, parseProcessList } from "./process-events.ts";

const parsers: Readonly<Record<string, (value: unknown) => unknown>> = {
  parseCodeLine,
  parseContext,
  parseContexts,
  parseEntriesAnswer,
  parseEntryAnswer,
  parseWatchMessage,
  parseWritten,
  parseProcessEvent,
  parseProcessList,
};

/** Words of the protocol, so that arbitrary values reach beyond the first check. */
const words = fc.constantFrom(
  "event",
  "start",
  "data",
  "end",
  "pid",
  "stdout",
  "stderr",
  "pty",
  "exitCode",
  "status",
  "error",
  "signal",
  "reason",
  "processes",
  "config",
  "cmd",
  "args",
  "envs",
  "entry",
  "entries",
  "name",
  "path",
  "type",
  "size",
  "mode",
  "metadata",
  "filesystem",
  "result",
  "text",
  "png",
  "json",
  "data",
  "extra",
  "timestamp",
  "execution_count",
  "is_main_result",
  "id",
  "language",
  "cwd",
  "__proto__",
  "constructor",
  "toString",
);
const values = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: "small" },
    fc.constantFrom(
      "stdout",
      "result",
      "error",
      "end_of_execution",
      "python",
      "EVENT_TYPE_WRITE",
      "signal: killed",
      "SIGKILL",
      "",
      "1",
    ),
    fc.jsonValue({ maxDepth: 1 }),
    fc.double(),
    fc.array(tie("value"), { maxLength: 3 }),
    fc.dictionary(words, tie("value"), { maxKeys: 6 }),
  ),
})).value;

describe.each(Object.entries(parsers))("%s", (_, parse) => {
  test("takes any value, or refuses it as untrusted", () => {
    fc.assert(
      fc.property(values, (value) => {
        expect([undefined, "untrusted"]).toContain(codeThrownBy(() => parse(value)));
      }),
      { numRuns: 1000 },
    );
  });

  test("never lets a value reach the prototype of objects", () => {
    const evil =
      '{"type":"result","data":{"__proto__":[1]},"extra":{"__proto__":{"polluted":1}},"json":{"__proto__":{"polluted":1}}}';
    expect([undefined, "untrusted"]).toContain(
      codeThrownBy(() => parse(parseJson(Buffer.from(evil)))),
    );
    expect("polluted" in {}).toBe(false);
  });
});

describe("process events", () => {
  test("an output event carries its bytes", () => {
    const event = parseProcessEvent({
      event: { data: { stderr: Buffer.from([0, 255, 10]).toString("base64") } },
    });
    expect(event).toEqual({
      kind: "output",
      output: { stream: "stderr", bytes: Buffer.from([0, 255, 10]) },
    });
  });

  test("an exit code that proto-JSON left out is 0", () => {
    expect(
      parseProcessEvent({ event: { end: { exited: true, status: "exit status 0" } } }),
    ).toEqual({
      kind: "end",
      end: { exitCode: 0, reason: "exited", signal: undefined, message: undefined },
    });
  });

  test("a signal is told by its name and 128 plus its number, as in a shell", () => {
    expect(
      parseProcessEvent({
        event: {
          end: { exitCode: -1, exited: false, status: "signal: segmentation fault (core dumped)" },
        },
      }),
    ).toEqual({
      kind: "end",
      end: { exitCode: 139, reason: "signalled", signal: "SIGSEGV", message: undefined },
    });
  });

  test("the agent's own reason wins", () => {
    const { end } = { end: { exitCode: 137, status: "signal: killed", reason: "out-of-memory" } };
    expect(parseProcessEvent({ event: { end } })).toMatchObject({
      end: { reason: "out-of-memory", signal: "SIGKILL" },
    });
  });

  test.each([{ pid: 0 }, { pid: -1 }, { pid: 2 ** 40 }, { pid: "x" }])(
    "the process id %j is refused",
    (start) => {
      expect(() => parseProcessEvent({ event: { start } })).toThrow(SandboxError);
    },
  );
});

describe("connect errors", () => {
  test("any value becomes a SandboxError of a known code", () => {
    fc.assert(
      fc.property(values, fc.option(fc.integer()), (value, status) => {
        expect(parseConnectError(value, status ?? undefined)).toBeInstanceOf(SandboxError);
      }),
    );
  });

  test("an error of ours survives the wire", () => {
    const error = new SandboxError("not-found", "path '/nowhere' does not exist");
    expect(parseConnectError(connectErrorBody(error))).toMatchObject({
      code: "not-found",
      message: error.message,
    });
  });

  test("a message is bounded and has no control characters", () => {
    const { message } = parseConnectError({
      code: "internal",
      message: `\u001b[31m${"x".repeat(100_000)}`,
    });
    expect(message).toHaveLength(4096);
    expect(message.startsWith("\uFFFD[31m")).toBe(true);
  });

  test.each(["toString", "__proto__", 5, null])("the code %j is internal", (code) => {
    expect(errorCodeOf(code)).toBe("internal");
  });
});

describe("files", () => {
  test("an entry is told in our words", () => {
    const told = {
      entry: {
        name: "a",
        type: "FILE_TYPE_DIRECTORY",
        path: "/home/user/a",
        size: "4096",
        mode: 493,
        permissions: "drwxr-xr-x",
        owner: "user",
        group: "user",
        modifiedTime: "2026-01-02T03:04:05.123456789Z",
      },
    };
    expect(parseEntryAnswer(told)).toEqual({
      name: "a",
      path: "/home/user/a",
      type: "directory",
      sizeBytes: 4096,
      mode: 0o755,
      permissions: "drwxr-xr-x",
      owner: "user",
      group: "user",
      modifiedAt: new Date("2026-01-02T03:04:05.123Z"),
      symlinkTarget: undefined,
      metadata: {},
    });
  });

  test("an answer without entries is an empty directory", () => {
    expect(parseEntriesAnswer({})).toEqual([]);
  });
});

describe("code events", () => {
  test("a result has the forms that were given, and no others", () => {
    expect(
      parseCodeLine({
        type: "result",
        text: "1",
        png: "aa",
        data: { a: [1] },
        is_main_result: true,
        chart: null,
      }),
    ).toEqual({
      type: "result",
      result: { isMainResult: true, text: "1", png: "aa", data: { a: [1] } },
    });
  });

  test.each(["keepalive", "of the future"])("a line of type %s is passed over", (type) => {
    expect(parseCodeLine({ type })).toBeUndefined();
  });
});
