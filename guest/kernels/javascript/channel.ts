import { Socket } from "node:net";
import { StringDecoder } from "node:string_decoder";
import { readLine, writeAll } from "./blocking.ts";

const requestsFd = 3;
const answersFd = 4;

/** One run as the agent asks for it. */
export interface Request {
  readonly code: string;
  readonly count: number;
  readonly envs?: Readonly<Record<string, string>>;
}

export type Kind = "=" | "F" | "D" | "R" | "E" | ".";

/** JSON in ASCII; undefined for what has no JSON form. */
export function encode(value: unknown): string | undefined {
  // The type of JSON.stringify hides that it answers undefined for undefined and functions.
  const text: string | undefined = JSON.stringify(value);
  return text?.replace(
    /[\u007f-\uffff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

export function line(kind: Kind, fields: object): string {
  return `${kind}${encode(fields) ?? "{}"}\n`;
}

export function send(lines: string): void {
  writeAll(answersFd, Buffer.from(lines, "latin1"));
}

let shown = 0;

/** Sends something displayed and waits until the agent has put it in its place among the output. */
export function show(fields: object): void {
  send(line("D", fields));
  shown += 1;
  for (let answer = readLine(requestsFd); answer !== `+${shown}`; answer = readLine(requestsFd))
    if (answer === "") return;
}

/** Calls `run` for each request until the agent has closed its end. */
export function receive(run: (request: Request) => void): void {
  const requests = new Socket({ fd: requestsFd, readable: true, writable: false });
  const decoder = new StringDecoder("utf8");
  let held = "";
  requests.on("data", (chunk) => {
    held += decoder.write(chunk);
    for (let end = held.indexOf("\n"); end >= 0; end = held.indexOf("\n")) {
      const text = held.slice(0, end);
      held = held.slice(end + 1);
      if (text.startsWith("{")) run(JSON.parse(text));
    }
  });
  requests.on("close", () => process.exit(0));
}
