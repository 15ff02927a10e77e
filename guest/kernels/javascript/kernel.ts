// The kernel of JavaScript and TypeScript. It speaks the protocol that guest/kernels/python/kernel.py describes.
import { env, version } from "node:process";
import { type Request, line, receive, send, show } from "./channel.ts";
import { traceOf } from "./failure.ts";
import { installOutputs } from "./output.ts";
import { type Language, define, evaluate, interruption } from "./run.ts";
import { displayed } from "./shown.ts";

const maxKeptLength = 64 * 1024;

installOutputs();

const state = {
  /** Ends the run that goes on; undefined between runs. */
  interrupt: undefined as (() => void) | undefined,
  /** What failed between runs is shown by the next one. */
  kept: "",
};
const language: Language = process.argv[2] === "typescript" ? "typescript" : "javascript";

/** Shows what failed in a callback: it ends neither the kernel nor the run. */
function showUncaught(error: unknown): void {
  const text = `Uncaught ${traceOf(error)}\n`;
  if (state.interrupt === undefined) state.kept = (state.kept + text).slice(0, maxKeptLength);
  else process.stderr.write(text);
}

function display(value: unknown): void {
  const fields = displayed(value);
  if (state.interrupt !== undefined && Object.keys(fields).length > 0) show(fields);
}

async function run(request: Request): Promise<void> {
  const before = enter(request.envs ?? {});
  const { promise, interrupt } = interruption();
  state.interrupt = interrupt;
  if (state.kept !== "") process.stderr.write(state.kept);
  state.kept = "";
  const { code, count } = request;
  const { result, failure } = await evaluate({ code, count, language }, promise);
  state.interrupt = undefined;
  leave(before);
  const answer = failure === undefined ? "" : line("E", failure);
  send(`${result === undefined ? "" : line("R", result)}${answer}${line(".", {})}`);
}

function enter(envs: Readonly<Record<string, string>>): [string, string | undefined][] {
  const before = Object.keys(envs).map((name): [string, string | undefined] => [name, env[name]]);
  Object.assign(env, envs);
  return before;
}

function leave(before: readonly [string, string | undefined][]): void {
  for (const [name, value] of before)
    if (value === undefined) delete env[name];
    else env[name] = value;
}

process.on("SIGINT", () => state.interrupt?.());
process.on("uncaughtException", showUncaught);
process.on("unhandledRejection", showUncaught);
process.argv.splice(1);
define("display", display);
define("module", { exports: {} });
define("exports", {});
receive((request) => {
  run(request).catch(showUncaught);
});
send(line("=", { version }));
