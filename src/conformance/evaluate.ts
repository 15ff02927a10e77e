import assert from "node:assert/strict";
import type { CodeContexts, CodeError, CodeResult, RunRequest } from "../core/code.ts";
import type { Machine } from "../core/driver.ts";
import type { Context } from "./context.ts";

/** What a run of code gave, collected. */
export interface Evaluated {
  readonly stdout: string;
  readonly stderr: string;
  readonly results: readonly CodeResult[];
  readonly error: CodeError | undefined;
  readonly count: number | undefined;
}

/** The kernels of a machine that has them. */
export function kernels(machine: Machine): CodeContexts {
  assert.ok(machine.code, "the driver lists the capability, so the machine has it");
  return machine.code;
}

/** A machine with kernels: the data-science template, with memory for pandas. */
export async function codeMachine(context: Context): Promise<Machine> {
  return context.create({
    template: "code-interpreter",
    resources: { memoryMiB: 1024, pids: 512 },
  });
}

/** Runs code to its end and collects what it gave. */
export async function evaluate(
  machine: Machine,
  request: string | RunRequest,
  signal?: AbortSignal,
): Promise<Evaluated> {
  let stdout = "";
  let stderr = "";
  let error: CodeError | undefined;
  let count: number | undefined;
  const results: CodeResult[] = [];
  for await (const event of kernels(machine).run(
    typeof request === "string" ? { code: request } : request,
    signal,
  )) {
    if (event.type === "stdout") stdout += event.text;
    else if (event.type === "stderr") stderr += event.text;
    else if (event.type === "result") results.push(event.result);
    else if (event.type === "error") error = event.error;
    else if (event.type === "execution-count") count = event.count;
  }
  return { stdout, stderr, results, error, count };
}

/** Text of the last expression. Fails when the code failed. */
export async function value(
  machine: Machine,
  request: string | RunRequest,
): Promise<string | undefined> {
  const done = await evaluate(machine, request);
  assert.equal(done.error, undefined, JSON.stringify(done.error));
  return done.results.find((each) => each.isMainResult)?.text;
}
