import type { CodeError } from "../core/code.ts";
import { SandboxError } from "../core/errors.ts";
import type { Files } from "../core/files.ts";
import type { Execution, OutputMessage, Result } from "../core/execution.ts";
import type { DriverChoice } from "../core/sandbox.ts";
import type { Host } from "./assemble.ts";
import { type Downloaded, download } from "./downloads.ts";
import { type CodeEnd, codeEnd } from "./exit-code.ts";
import { type Opened, type Wanted, freshSandbox } from "./fresh.ts";
import { type Album, album, pictureOf } from "./pictures.ts";
import { networkHint, tail, uploadHint } from "./hints.ts";
import { interruptedBy } from "./interruption.ts";
import { refuseMemoryLoss, withEndReason } from "./end-reason.ts";
import { exitCodeOf } from "./report.ts";
import type { Script } from "./script.ts";
import type { Terminal } from "./terminal.ts";
import type { Transfer } from "./transfer-paths.ts";
import { type Uploaded, upload } from "./uploads.ts";

/** A script to be run, and all around it. */
export interface ScriptRun {
  readonly script: Script;
  readonly terminal: Terminal;
  readonly writer: RunWriter;
  readonly wanted: Wanted;
  readonly uploads: readonly Transfer[];
  readonly downloads: readonly Transfer[];
  /** Directory for pictures among the results. */
  readonly pictures: string;
  readonly timeoutMs: number;
}

/** How long each stage took. Milliseconds. */
export interface Timings {
  createMs?: number;
  uploadMs?: number;
  runMs?: number;
  downloadMs?: number;
  endMs?: number;
  totalMs?: number;
}

/** All that is known of a run when it is over. */
export interface RunFacts {
  readonly script: Script;
  readonly timings: Timings;
  sandboxId?: string;
  choice?: DriverChoice;
  execution?: Execution;
  uploaded?: Uploaded;
  downloaded?: Downloaded;
  readonly pictures: string[];
  /** What may have been meant, where the program's words tell. */
  readonly hints: string[];
}

/** Tells the caller of a run what happens, and then what became of it. */
export interface RunWriter {
  output(message: OutputMessage): Promise<void>;
  result(result: Result, picturePath: string | undefined): Promise<void>;
  /** The run came to an end, good or bad. */
  ended(facts: RunFacts, end: CodeEnd & { readonly error: CodeError | undefined }): Promise<void>;
  /** The run could not be made or was broken off. Whether the error has been told. */
  failed(facts: RunFacts, error: SandboxError, exitCode: number): Promise<boolean>;
}

/** Runs a script in a fresh sandbox and returns the exit code. Throws what stopped it, unless the writer told it. */
export async function runScript(host: Host, run: ScriptRun): Promise<number> {
  const facts: RunFacts = { script: run.script, timings: {}, pictures: [], hints: [] };
  const begun = performance.now();
  try {
    await inSandbox(host, run, facts);
    facts.timings.totalMs = performance.now() - begun;
    const error = facts.execution?.error;
    const end = codeEnd(error);
    await run.writer.ended(facts, { ...end, error });
    return end.exitCode;
  } catch (cause) {
    facts.timings.totalMs = performance.now() - begun;
    return failure(cause, run, facts);
  }
}

async function inSandbox(host: Host, run: ScriptRun, facts: RunFacts): Promise<void> {
  const { timings } = facts;
  const made = await timed(timings, "createMs", () => freshSandbox(host, run.terminal, run.wanted));
  const { sandbox } = made;
  facts.sandboxId = sandbox.sandboxId;
  facts.choice = sandbox.choice;
  try {
    await work(made, run, facts);
  } catch (cause) {
    throw await withEndReason(cause, sandbox.ended);
  } finally {
    await timed(timings, "endMs", () => sandbox[Symbol.asyncDispose]());
  }
}

async function work(
  { sandbox, machine, driver }: Opened,
  run: ScriptRun,
  facts: RunFacts,
): Promise<void> {
  const { timings } = facts;
  const said = tail();
  const { signal } = run.wanted.options;
  if (run.uploads.length > 0)
    facts.uploaded = await timed(timings, "uploadMs", () =>
      upload(machine.files, run.uploads, signal),
    );
  const pictures = album(run.pictures, run.script.name);
  facts.execution = await timed(timings, "runMs", () =>
    sandbox.runCode(run.script.code, {
      language: run.script.language,
      timeoutMs: run.timeoutMs,
      signal,
      onStdout: (message) => run.writer.output(message),
      onStderr: (message) => {
        said.take(message.line);
        return run.writer.output(message);
      },
      onResult: (result) => shown(result, { run, facts, pictures }),
    }),
  );
  const { error } = facts.execution;
  await refuseMemoryLoss(error, sandbox.ended);
  const hasFailed = codeEnd(error).exitCode !== 0;
  if (hasFailed) {
    said.take(`${error?.traceback}\n${error?.value}`);
    const hints = [networkHint(said.text, driver), uploadHint(said.text, ".")];
    facts.hints.push(...hints.filter((hint) => hint !== undefined));
  }
  if (run.downloads.length > 0)
    await timed(timings, "downloadMs", () => bringOut(machine.files, run, { facts, hasFailed }));
}

/** What a program that failed did not come to make is a hint: its own failure is what is told. */
async function bringOut(
  files: Files,
  run: ScriptRun,
  { facts, hasFailed }: { readonly facts: RunFacts; readonly hasFailed: boolean },
): Promise<void> {
  const { signal } = run.wanted.options;
  const written: string[] = [];
  const leftOut: string[] = [];
  facts.downloaded = { written, leftOut };
  for (const transfer of run.downloads)
    try {
      const one = await download(files, [transfer], signal);
      written.push(...one.written);
      leftOut.push(...one.leftOut);
    } catch (cause) {
      const error = SandboxError.from(cause);
      if (!hasFailed || error.code !== "not-found") throw cause;
      facts.hints.push(`not downloaded: ${error.message}`);
    }
}

async function shown(
  result: Result,
  { run, facts, pictures }: { run: ScriptRun; facts: RunFacts; pictures: Album },
): Promise<void> {
  const picture = pictureOf(result);
  const path = picture === undefined ? undefined : await pictures.save(picture);
  if (path !== undefined) facts.pictures.push(path);
  await run.writer.result(result, path);
}

async function timed<T>(timings: Timings, stage: keyof Timings, act: () => Promise<T>): Promise<T> {
  const begun = performance.now();
  try {
    return await act();
  } finally {
    timings[stage] = performance.now() - begun;
  }
}

async function failure(cause: unknown, run: ScriptRun, facts: RunFacts): Promise<number> {
  const error = interruptedBy(run.wanted.options.signal) ?? SandboxError.from(cause);
  const exitCode = exitCodeOf(error);
  if (await run.writer.failed(facts, error, exitCode)) return exitCode;
  throw error;
}
