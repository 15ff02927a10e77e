import type { ChildProcess } from "node:child_process";
import { Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { SandboxError } from "../../core/errors.ts";
import { systemCode } from "../../images/file-errors.ts";
import { parseJson } from "../../wire/json.ts";
import { lineDecoder } from "../../wire/lines.ts";

/** A supervisor that was started. It keeps this process alive only while something of it is awaited. */
export interface Launched {
  /** What it says first, bounded; `undefined` when it ends before. Throws `internal` when it cannot be started. */
  firstLine(): Promise<string | undefined>;
  exited(): Promise<void>;
  /** Has it undo what it has begun. */
  terminate(): void;
}

/** A small process that starts supervisors for this one. It ends with this one; supervisors stay. */
export interface Launcher {
  readonly isReady: boolean;
  readonly isOver: boolean;
  launch(words: readonly string[], log: string | undefined): Launched;
}

/** What it tells, a line each: it is this project's own program. */
const event = z.object({
  id: z.number(),
  pid: z.number().int().positive().optional(),
  line: z.string().optional(),
  exited: z.boolean().optional(),
  error: z.string().optional(),
});
/** A supervisor's longest line, whose marks JSON doubles, and what stands around it. */
const maxEventBytes = 2 * 256 * 1024 + 1024;
/** How often a supervisor is looked for whose launcher has died. Milliseconds. */
const lookMs = 20;

/** Takes over a child that runs `supervisor launcher`. */
export function startLauncher(child: ChildProcess): Launcher {
  const started = new Map<number, Started>();
  let lastId = 0;
  let isReady = false;
  let isOver = false;
  const end = (): void => {
    isOver = true;
    isReady = false;
    for (const one of started.values()) one.launcherIsGone();
    started.clear();
    child.stdin?.destroy();
  };
  child.once("spawn", () => {
    isReady = true;
  });
  child.once("error", end);
  child.stdin?.on("error", end);
  child.stdout?.once("close", end);
  const lines = lineDecoder(maxEventBytes);
  const learn = (told: z.infer<typeof event>): void => {
    started.get(told.id)?.learn(told);
    if (told.exited === true || told.error !== undefined) started.delete(told.id);
  };
  child.stdout?.on("data", (chunk: Buffer) => {
    try {
      for (const line of lines.push(chunk)) learn(event.parse(parseJson(line)));
    } catch {
      // What cannot be understood is of no more use than one that has died, and must not take this process with it.
      child.stdout?.destroy();
    }
  });
  const hold = holdOf(child);
  const ask = (request: object): void => void child.stdin?.write(`${JSON.stringify(request)}\n`);
  return {
    get isReady() {
      return isReady;
    },
    get isOver() {
      return isOver;
    },
    launch(words, log = "") {
      const id = ++lastId;
      const one = new Started(hold, () => ask({ id }));
      started.set(id, one);
      ask({ id, words, log });
      return one;
    },
  };
}

/** Keeps this process alive while anything is awaited of the child, and no longer. */
type Hold = <T>(awaited: Promise<T>) => Promise<T>;

function holdOf(child: ChildProcess): Hold {
  let awaited = 0;
  child.unref();
  unref(child);
  return async (promise) => {
    awaited += 1;
    if (awaited === 1) for (const stream of streamsOf(child)) stream.ref();
    try {
      return await promise;
    } finally {
      awaited -= 1;
      if (awaited === 0) unref(child);
    }
  };
}

function unref(child: ChildProcess): void {
  for (const stream of streamsOf(child)) stream.unref();
}

function streamsOf({ stdin, stdout }: ChildProcess): readonly Socket[] {
  return [stdin, stdout].filter((stream) => stream instanceof Socket);
}

class Started implements Launched {
  readonly #hold: Hold;
  readonly #end: () => void;
  readonly #line: Promise<string | undefined>;
  readonly #exit: Promise<void>;
  readonly #orphaned: Promise<void>;
  #speak: (line: string | undefined) => void = () => undefined;
  #fail: (cause: SandboxError) => void = () => undefined;
  #over: () => void = () => undefined;
  #orphan: () => void = () => undefined;
  #pid: number | undefined;
  #hasSpoken = false;
  #isOrphan = false;

  constructor(hold: Hold, end: () => void) {
    this.#hold = hold;
    this.#end = end;
    this.#line = new Promise((resolve, reject) => {
      this.#speak = resolve;
      this.#fail = reject;
    });
    this.#exit = new Promise((resolve) => {
      this.#over = resolve;
    });
    this.#orphaned = new Promise((resolve) => {
      this.#orphan = resolve;
    });
    this.#line.catch(() => undefined);
  }

  firstLine(): Promise<string | undefined> {
    return this.#hold(this.#line);
  }

  exited(): Promise<void> {
    const gone = this.#orphaned.then(() => untilGone(this.#pid));
    return this.#hold(Promise.race([this.#exit, gone]));
  }

  terminate(): void {
    if (!this.#isOrphan) this.#end();
    else if (this.#pid !== undefined && isAlive(this.#pid)) process.kill(this.#pid, "SIGTERM");
  }

  learn({ pid, line, exited, error }: z.infer<typeof event>): void {
    this.#pid ??= pid;
    if (error !== undefined) this.#fail(notStarted(error));
    if (line !== undefined) this.#speak(line);
    this.#hasSpoken ||= line !== undefined;
    if (exited !== true && error === undefined) return;
    this.#speak(undefined);
    this.#over();
  }

  /** One that has not spoken yet cannot be heard any more, so it is ended. */
  launcherIsGone(): void {
    this.#isOrphan = true;
    this.#orphan();
    if (this.#hasSpoken) return;
    this.terminate();
    void untilGone(this.#pid).then(() => this.#speak(undefined));
  }
}

function notStarted(why: string): SandboxError {
  return new SandboxError("internal", `the supervisor cannot be started: ${why}`);
}

async function untilGone(pid: number | undefined): Promise<void> {
  if (pid === undefined) return;
  for (;;) {
    if (!isAlive(pid)) return;
    await sleep(lookMs);
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (cause) {
    if (systemCode(cause) === "ESRCH") return false;
    throw cause;
  }
}
