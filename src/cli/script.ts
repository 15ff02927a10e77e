import { open } from "node:fs/promises";
import { basename, extname } from "node:path";
import type { Language } from "../core/code.ts";
import { SandboxError } from "../core/errors.ts";
import { invalid } from "../core/validate.ts";
import { languageOf } from "../core/run-code.ts";
import { hostFileError } from "./host-files.ts";

/** Code to be run. */
export interface Script {
  readonly code: string;
  readonly language: Language;
  /** Its file's name without the extension; names what it makes. */
  readonly name: string;
}

interface ScriptOptions {
  /** `-` reads standard input. */
  readonly file?: string | undefined;
  readonly code?: string | undefined;
  readonly language?: string | undefined;
}

const maxScriptBytes = 8 * 1024 * 1024;

const byExtension: Readonly<Record<string, Language>> = {
  ".py": "python",
  ".js": "javascript",
  ".mjs": "javascript",
  ".ts": "typescript",
  ".mts": "typescript",
  ".sh": "bash",
  ".bash": "bash",
};

/** The code that a caller means. Throws `invalid`, `not-found` with the path, `denied`. */
export async function readScript(
  options: ScriptOptions,
  stdin: NodeJS.ReadStream,
): Promise<Script> {
  const asked = options.language === undefined ? undefined : languageOf(options.language);
  const { file, code } = options;
  if ((file === undefined) === (code === undefined))
    throw invalid(
      "code",
      "expected exactly one of a file, - and --code",
      "cofferdam run FILE, cofferdam run - or cofferdam run -c CODE",
    );
  if (code !== undefined) return { code, language: asked ?? "python", name: "cofferdam" };
  if (file === undefined || file === "-") {
    const text = decoded("standard input", await bounded("standard input", stdin));
    return { code: text, language: asked ?? "python", name: "cofferdam" };
  }
  const bytes = await readBounded(file);
  const language = asked ?? languageByName(file);
  return { code: decoded(file, bytes), language, name: basename(file, extname(file)) };
}

/** The language that a file's name tells. Throws `invalid` when it tells none. */
function languageByName(file: string): Language {
  const extension = extname(file).toLowerCase();
  const language = Object.hasOwn(byExtension, extension) ? byExtension[extension] : undefined;
  if (language !== undefined) return language;
  const known = Object.keys(byExtension).join(", ");
  throw invalid(
    "language",
    `the name ${JSON.stringify(basename(file))} does not tell the language`,
    `give --language, or a name that ends in ${known}`,
  );
}

async function readBounded(file: string): Promise<Buffer> {
  try {
    await using handle = await open(file, "r");
    const facts = await handle.stat();
    if (facts.isDirectory())
      throw invalid(
        "file",
        `${file} is a directory`,
        "name a file, and bring the rest by --upload",
      );
    if (facts.size > maxScriptBytes) throw tooLong(file);
    return await bounded(file, handle.createReadStream({ autoClose: false }));
  } catch (cause) {
    throw hostFileError("file", file, cause);
  }
}

async function bounded(what: string, stream: AsyncIterable<unknown>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of stream) {
    const bytes = Buffer.isBuffer(chunk) ? chunk : Buffer.from(String(chunk));
    size += bytes.length;
    if (size > maxScriptBytes) throw tooLong(what);
    chunks.push(bytes);
  }
  return Buffer.concat(chunks);
}

function tooLong(what: string): SandboxError {
  return invalid(
    "file",
    `${what} is longer than the ${maxScriptBytes / 1_048_576} MiB that code may have`,
    "bring it in with --upload and import it",
  );
}

function decoded(what: string, bytes: Buffer): string {
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    if (!text.includes("\0")) return text;
  } catch (cause) {
    throw new SandboxError("invalid", `${what} is not UTF-8 text`, {
      field: "file",
      mend: "bring data in with --upload; code is text",
      cause,
    });
  }
  throw invalid("file", `${what} holds a NUL byte, which code never does`);
}
