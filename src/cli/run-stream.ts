import type { Result } from "../core/execution.ts";
import { hintText } from "./hints.ts";
import type { RunFacts, RunWriter, Timings } from "./run-script.ts";
import { readableMs } from "./table.ts";
import type { Output, Terminal } from "./terminal.ts";
import { visibleText, withoutColours } from "./visible-text.ts";

/** Prints a run as it goes: the program's output on the same streams, results as text, pictures by the path they have. */
export function streamWriter({ stdout, stderr }: Terminal, verbose: boolean): RunWriter {
  return {
    output: (message) => (message.error ? stderr : stdout).write(message.line),
    async result(result, picturePath) {
      if (picturePath !== undefined) await stderr.write(`picture: ${visibleText(picturePath)}\n`);
      else await stdout.write(resultText(result));
    },
    async ended(facts, { message }) {
      if (message !== "") await stderr.write(messageText(message, stderr));
      await stderr.write(facts.hints.map(hintText).join(""));
      await stderr.write(filesText(facts));
      if (verbose) await stderr.write(timesText(facts.timings));
    },
    failed: () => Promise.resolve(false),
  };
}

/** A result as a terminal can show it. */
function resultText(result: Result): string {
  const text = result.text ?? result.markdown ?? result.latex ?? result.html;
  if (text !== undefined) return withLineEnd(text);
  return result.json === undefined ? "" : withLineEnd(JSON.stringify(result.json, undefined, 2));
}

function messageText(message: string, output: Output): string {
  return withLineEnd(output.colours.isColorSupported ? message : withoutColours(message));
}

function filesText({ uploaded, downloaded, execution }: RunFacts): string {
  const lines = [
    ...(downloaded?.written.map((path) => `downloaded: ${visibleText(path)}`) ?? []),
    ...[...(uploaded?.leftOut ?? []), ...(downloaded?.leftOut ?? [])].map(
      (path) => `left out, because it is no regular file: ${visibleText(path)}`,
    ),
    ...(execution?.results.length && execution.truncated
      ? ["there were more results than are kept"]
      : []),
  ];
  return lines.map((line) => `${line}\n`).join("");
}

function timesText(timings: Timings): string {
  const stages = Object.entries(timings).map(
    ([stage, tookMs]: [string, number]) => `${stage.replace(/Ms$/, "")} ${readableMs(tookMs)}`,
  );
  return `times: ${stages.join(", ")}\n`;
}

function withLineEnd(text: string): string {
  return text === "" || text.endsWith("\n") ? text : `${text}\n`;
}
