// Other programs: run to their end, their last words kept, ended with this one.
import { spawn } from "node:child_process";
import { homedir } from "node:os";
import process, { env } from "node:process";

const keptLines = 400;
const graceMs = 20_000;
const children = new Set();
let interruptedBy;

/** Somebody pressed Ctrl-C, or asked this process to end. */
export class Interrupted extends Error {
  get exitCode() {
    return interruptedBy === "SIGINT" ? 130 : 143;
  }
}

/** A failure that the reader can mend; its message is for a person. */
export class Failure extends Error {}

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.once(signal, () => interrupt(signal));

function interrupt(signal) {
  interruptedBy = signal;
  for (const child of children) child.kill("SIGTERM");
  setTimeout(() => {
    for (const child of children) child.kill("SIGKILL");
  }, graceMs).unref();
}

/** Throws `Interrupted` once somebody asked for the end. */
function goOn() {
  if (interruptedBy !== undefined) throw new Interrupted(`interrupted by ${interruptedBy}`);
}

/**
 * Runs a program and resolves with `{ code, stdout, lines }`: the last lines of both streams together. Never rejects for an
 * exit code. `onLine(text, stream)` sees every line; `shielded` keeps a terminal's Ctrl-C from a program that must end by itself.
 */
export async function run(command, options = {}) {
  goOn();
  const { onLine, onMessage, shielded = false, cwd, environment = {} } = options;
  const [program, ...values] = command;
  const stdio = ["ignore", "pipe", "pipe", ...(onMessage === undefined ? [] : ["ipc"])];
  const home = env.HOME || homedir();
  const child = spawn(program, values, {
    cwd,
    stdio,
    detached: shielded,
    env: { ...env, HOME: home, ...environment },
  });
  if (!shielded) children.add(child);
  if (onMessage !== undefined) child.on("message", onMessage);
  const lines = [];
  const stdout = [];
  for (const stream of ["stdout", "stderr"]) {
    eachLine(child[stream], (line) => {
      if (stream === "stdout" && onLine === undefined) stdout.push(line);
      lines.push(line);
      if (lines.length > keptLines) lines.shift();
      onLine?.(line, stream);
    });
  }
  const code = await ended(child);
  children.delete(child);
  goOn();
  return { code, stdout: stdout.join("\n"), lines };
}

/** As `run`; an exit code other than 0 is a `Failure` that quotes the program's last words. */
export async function must(command, options = {}) {
  const result = await run(command, options);
  if (result.code === 0) return result;
  const said = result.lines.slice(-30).join("\n");
  throw new Failure(`${command.join(" ")} ended with ${result.code}:\n${said}`);
}

function eachLine(stream, take) {
  let rest = "";
  stream.setEncoding("utf8");
  stream.on("data", (text) => {
    const parts = (rest + text).split(/\r?\n|\r/);
    rest = parts.pop() ?? "";
    for (const part of parts) take(part);
  });
  stream.on("end", () => {
    if (rest !== "") take(rest);
  });
}

function ended(child) {
  return new Promise((resolve, reject) => {
    child.on("error", (error) => {
      if (error.code === "ENOENT") resolve(127);
      else reject(error);
    });
    child.on("close", (code, signal) => resolve(code ?? `signal ${signal}`));
  });
}
