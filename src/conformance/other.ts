import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";

/** How another process of this host gets the driver under test. */
export interface ProcessRecipe {
  /** Program and options that run an ES module given as the last argument's text, such as `node --input-type=module -e`. */
  readonly argv: readonly [string, ...string[]];
  /** Statements that define `driver`. */
  readonly prelude: string;
  /** Directory that the module's imports start from. */
  readonly cwd: string;
}

/** A process of this host beside the suite's own. */
export interface OtherProcess extends AsyncDisposable {
  readonly pid: number;
  /** The next line that it prints. Rejects when it ends before. */
  line(): Promise<string>;
  /** Resolves with the exit code, or with the signal's name. */
  readonly exit: Promise<number | string>;
  /** SIGKILL, as a crash would. */
  crash(): Promise<void>;
}

const lineLimit = 1_000_000;

/** Starts `program` with `driver` defined. It prints with `say(value)`, one line of JSON each. */
export function otherProcess(
  recipe: ProcessRecipe,
  program: string,
  envs: Readonly<Record<string, string>>,
): OtherProcess {
  const say = `const say = (value) => process.stdout.write(JSON.stringify(value) + "\\n");`;
  const [file, ...args] = recipe.argv;
  const assignments = Object.entries(envs).map(([key, value]) => `${key}=${value}`);
  const child = spawn(
    "/usr/bin/env",
    [...assignments, file, ...args, `${recipe.prelude}\n${say}\n${program}`],
    {
      cwd: recipe.cwd,
      stdio: ["ignore", "pipe", "pipe"],
    },
  );
  return overChild(child);
}

function overChild(child: ChildProcess): OtherProcess {
  let held = "";
  let complaint = "";
  child.stdout?.on("data", (bytes: Buffer) => {
    held = (held + bytes.toString()).slice(-lineLimit);
    child.emit("text");
  });
  child.stderr?.on("data", (bytes: Buffer) => {
    complaint = (complaint + bytes.toString()).slice(-lineLimit);
  });
  const exit = once(child, "close").then(([code, signal]: unknown[]) => {
    child.emit("text");
    return typeof code === "number" ? code : String(signal);
  });
  const over = (): boolean => child.exitCode !== null || child.signalCode !== null;
  return {
    pid: child.pid ?? 0,
    exit,
    async line() {
      while (!held.includes("\n")) {
        if (over() && child.stdout?.readableEnded !== false)
          throw new Error(`the other process ended: ${complaint || held}`);
        await once(child, "text");
      }
      const [first = "", ...rest] = held.split("\n");
      held = rest.join("\n");
      return first;
    },
    async crash() {
      child.kill("SIGKILL");
      await exit;
    },
    async [Symbol.asyncDispose]() {
      if (!over()) child.kill("SIGKILL");
      await exit;
    },
  };
}
