import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { SandboxError } from "../../core/errors.ts";
import { fileError } from "../../images/file-errors.ts";
import { nativeFile } from "../../images/native.ts";
import { type Launched, type Launcher, startLauncher } from "./launcher.ts";

/** Which supervisor: that of machines that this host's processes make, or of those that an Engine makes. */
export type SupervisorProgram = "supervisor" | "engine-supervisor";

/** The host's own tools and nothing of the caller's environment. */
const environment = { PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" };
const maxLineBytes = 256 * 1024;

/** By the supervisor's program: what starts further ones, a while after the first has been started. */
const launchers: Map<string, Launcher> = new Map();
/** So that a process that wants one alone is not held up by what it does not need. Milliseconds. */
const launcherAfterMs = 250;

/**
 * Starts a supervisor in a session of its own; its complaints go to the log.
 *
 * A process that starts one is likely to start more, and to fork costs it milliseconds, in which it does nothing else, for
 * each 100 MiB that it holds. So after the first one a small process starts the others.
 */
export function launch(
  words: readonly string[],
  log: string | undefined,
  name: SupervisorProgram = "supervisor",
): Launched {
  const program = nativeFile(name);
  const launcher = launchers.get(program);
  if (launcher?.isReady === true) return launcher.launch(words, log);
  if (launcher === undefined || launcher.isOver) setTimeout(prepare, launcherAfterMs).unref();
  return launchedDirectly(start(program, words, log));

  function prepare(): void {
    if (launchers.get(program)?.isOver === false) return;
    launchers.set(program, startLauncher(start(program, ["launcher"], undefined)));
  }
}

function start(program: string, words: readonly string[], log: string | undefined): ChildProcess {
  let complaints: number | "ignore" = "ignore";
  try {
    if (log !== undefined) complaints = openSync(log, "a", 0o600);
    return spawn(program, words, {
      env: environment,
      cwd: "/",
      detached: true,
      stdio: [words[0] === "launcher" ? "pipe" : "ignore", "pipe", complaints],
    });
  } catch (error) {
    throw fileError(error, "start the supervisor");
  } finally {
    if (typeof complaints === "number") closeSync(complaints);
  }
}

function launchedDirectly(child: ChildProcess): Launched {
  return {
    async firstLine() {
      try {
        return await firstLine(child);
      } finally {
        child.stdout?.destroy();
        child.unref();
      }
    },
    exited: () => exited(child),
    terminate: () => void child.kill("SIGTERM"),
  };
}

function firstLine(child: ChildProcess): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    let held = "";
    child.once("error", (cause) => {
      const message = `the supervisor cannot be started: ${cause.message}`;
      reject(new SandboxError("internal", message, { cause }));
    });
    child.stdout?.setEncoding("utf8");
    child.stdout?.on("data", (chunk: string) => {
      held += chunk;
      const end = held.indexOf("\n");
      if (end >= 0) resolve(held.slice(0, end));
      else if (held.length > maxLineBytes) resolve(undefined);
    });
    child.stdout?.once("close", () => resolve(undefined));
  });
}

function exited(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  child.ref();
  return new Promise((resolve) => {
    child.once("exit", () => resolve());
  });
}
