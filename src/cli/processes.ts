import type { Machine } from "../core/driver.ts";
import { SandboxError } from "../core/errors.ts";
import type { Command, Process } from "../core/process.ts";
import { processExitCode } from "./exit-code.ts";
import type { Terminal } from "./terminal.ts";

interface PipedSurroundings {
  readonly terminal: Terminal;
  readonly signal: AbortSignal;
  readonly onStderr: (bytes: Uint8Array) => void;
}

/** Runs a command with this process's own input and outputs, byte for byte, and returns its exit code. Throws for a bad end. */
export async function runPiped(
  machine: Machine,
  command: Command,
  { terminal, signal, onStderr }: PipedSurroundings,
): Promise<number> {
  const process = await machine.spawn({ ...command, stdin: true }, signal);
  const stopInput = forwardInput(process, terminal.stdin);
  try {
    for await (const { stream, bytes } of process.output) {
      if (stream === "stderr") onStderr(bytes);
      await (stream === "stderr" ? terminal.stderr : terminal.stdout).write(bytes);
    }
    return codeOf(await process.end, signal);
  } finally {
    stopInput();
  }
}

/** Runs a command in a terminal of the sandbox that this terminal is connected to. Restores this terminal however it ends. */
export async function runInTerminal(
  machine: Machine,
  command: Command,
  { terminal, signal }: { readonly terminal: Terminal; readonly signal: AbortSignal },
): Promise<number> {
  const { stdin, stdout } = terminal;
  const process = await machine.spawn({ ...command, stdin: true, pty: terminal.size() }, signal);
  const offResize = terminal.onResize(() => {
    process.resize(terminal.size()).catch(keepSize);
  });
  const restore = rawMode(stdin);
  const stopInput = forwardInput(process, stdin);
  try {
    for await (const { bytes } of process.output) await stdout.write(bytes);
    return codeOf(await process.end, signal);
  } finally {
    offResize();
    stopInput();
    restore();
  }
}

/** A terminal that could not be told its new size works on with the old one. */
function keepSize(): void {}

/** The input of a terminal must be one. Throws `invalid`. */
export function requireTerminal({ stdin, stdout }: Terminal): void {
  if (stdin.isTTY && stdout.isTerminal) return;
  const which = stdin.isTTY ? "standard output" : "standard input";
  throw new SandboxError("invalid", `${which} is not a terminal`, {
    mend: "cofferdam exec without --tty works in a pipe: cofferdam exec -- bash",
  });
}

function codeOf(end: Awaited<Process["end"]>, signal: AbortSignal): number {
  signal.throwIfAborted();
  const code = processExitCode(end);
  if (code instanceof SandboxError) throw code;
  return code;
}

/** Each key reaches the sandbox as it is, Ctrl-C too. Returns what gives the terminal back, which also runs at exit. */
function rawMode(stdin: NodeJS.ReadStream): () => void {
  const restore = (): void => {
    process.off("exit", restore);
    if (stdin.destroyed) return;
    try {
      stdin.setRawMode(false);
    } catch (cause) {
      if (!isGone(cause)) throw cause;
    }
  };
  process.on("exit", restore);
  stdin.setRawMode(true);
  return restore;
}

/** Whether a terminal could not be set because it is no longer there: its window was closed. */
function isGone(cause: unknown): boolean {
  return cause instanceof Error && "code" in cause && cause.code === "EIO";
}

/** Sends input as fast as the program takes it, then its end. Returns what stops it. */
function forwardInput(process: Process, stdin: NodeJS.ReadStream): () => void {
  let stopped = false;
  const take = async (): Promise<void> => {
    for await (const chunk of stdin) {
      if (stopped) return;
      const bytes = Buffer.isBuffer(chunk) ? chunk : Buffer.from(String(chunk));
      if (!(await unlessOver(process.write(bytes)))) return;
    }
    await unlessOver(process.closeStdin());
  };
  const over = (): void => void stdin.pause();
  take().then(over, over);
  return () => {
    stopped = true;
    stdin.pause();
  };
}

/** Waits for a call to a process that may be over by now, which is no failure of the command. `false`: it was over. */
async function unlessOver(call: Promise<unknown>): Promise<boolean> {
  try {
    await call;
    return true;
  } catch (cause) {
    const { code } = SandboxError.from(cause);
    if (["not-found", "lost", "conflict", "cancelled", "invalid"].includes(code)) return false;
    throw cause;
  }
}
