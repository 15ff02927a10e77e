import { expect, test } from "vitest";
import type { ProcessEnd } from "../core/process.ts";
import { SandboxError } from "../core/errors.ts";
import { codeEnd, processExitCode } from "./exit-code.ts";

test.each([
  ["SystemExit", "", 0],
  ["SystemExit", "None", 0],
  ["SystemExit", "3", 3],
  ["SystemExit", "256", 0],
  ["SystemExit", "-1", 255],
  ["SystemExit", "give up", 1],
  ["Error", "exit status 3", 3],
  ["Error", "exit status 143 (TERM)", 143],
  ["Error", "exit status 3 or so", 1],
  ["ZeroDivisionError", "division by zero", 1],
  ["KernelDied", "the kernel exited with status 7; its state is lost", 7],
  ["KernelDied", "the kernel was killed by SIGSEGV; its state is lost", 139],
  ["KernelDied", "the kernel was killed: out of memory; its state is lost", 137],
  ["KernelDied", "the kernel was killed by SIGNOSUCH; its state is lost", 1],
  ["Error", "\u0000", 1],
])("%s %s exits with %i", (name, value, exitCode) => {
  expect(codeEnd({ name, value, traceback: "" }).exitCode).toBe(exitCode);
});

test("code that came to its end exits with 0, and what it threw is told by its traceback", () => {
  expect(codeEnd(undefined)).toEqual({ exitCode: 0, message: "" });
  expect(codeEnd({ name: "E", value: "v", traceback: "the trace" }).message).toBe("the trace");
  expect(codeEnd({ name: "E", value: "v", traceback: "" }).message).toBe("E: v");
  expect(codeEnd({ name: "SystemExit", value: "3", traceback: "the trace" }).message).toBe("");
});

test.each([
  ["exited", 9, 9],
  ["signalled", 143, 143],
  ["killed", 137, 137],
  ["timed-out", 137, "timed-out"],
  ["out-of-memory", 137, "out-of-memory"],
  ["machine-ended", 137, "lost"],
] as const)("a process that ended as %s with %i is %s", (reason, exitCode, expected) => {
  const end: ProcessEnd = { exitCode, reason, signal: undefined, message: undefined };
  const told = processExitCode(end);
  expect(told instanceof SandboxError ? told.code : told).toBe(expected);
});
