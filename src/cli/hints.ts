import { existsSync } from "node:fs";
import { join } from "node:path";
import { visibleText } from "./visible-text.ts";

/** The end of what a program said, in bounded memory. */
export interface Tail {
  readonly text: string;
  take(piece: string | Uint8Array): void;
}

const keptCharacters = 8192;

export function tail(): Tail {
  const decoder = new TextDecoder();
  let text = "";
  return {
    get text() {
      return text;
    },
    take(piece) {
      const added = typeof piece === "string" ? piece : decoder.decode(piece, { stream: true });
      text = `${text}${added}`.slice(-keptCharacters);
    },
  };
}

/** What programs say when there is no way to another machine. */
const noNetwork =
  /could not resolve host|failure in name resolution|temporary failure resolving|name or service not known|no address associated with hostname|network is unreachable|\b(ENETUNREACH|EAI_AGAIN|ENOTFOUND)\b/i;

/** Why a program that failed for want of a network had none; `undefined` when it failed for something else. */
export function networkHint(
  said: string,
  driver: { readonly name: string; readonly capabilities: ReadonlySet<string> },
): string | undefined {
  if (!noNetwork.test(said)) return undefined;
  return driver.capabilities.has("egress")
    ? "nothing leaves this sandbox but what --allow-out names"
    : `nothing leaves this sandbox: the driver ${driver.name} gives it no network but loopback`;
}

/** How Python, Node.js and the tools of a shell say that a file is missing. */
const missingFile = [
  /No such file or directory: '([^'\n]{1,255})'/g,
  /ENOENT: no such file or directory, \w+ '([^'\n]{1,255})'/g,
  /(?:^|: )([^:\n]{1,255}): No such file or directory$/gm,
];

/** How to bring in a file that a program missed and that is there on the host, below `directory`. */
export function uploadHint(said: string, directory: string): string | undefined {
  for (const pattern of missingFile)
    for (const [, path = ""] of said.matchAll(pattern)) {
      if (!isPlain(path) || !existsSync(join(directory, path))) continue;
      const transfer = path.includes("/") ? `${path}:${path}` : path;
      return `${path} is on this host and not in the sandbox; to bring it in: --upload ${transfer}`;
    }
  return undefined;
}

/** A guest names the path: nothing outside the directory, nothing hidden, nothing that a shell would read as more than a path. */
function isPlain(path: string): boolean {
  return path.split("/").every((part) => /^[\p{L}\p{N}_][\p{L}\p{N}_.+@=,-]*$/u.test(part));
}

export function hintText(hint: string): string {
  return `cofferdam: ${visibleText(hint)}\n`;
}
