import { createRequire } from "node:module";
import { join } from "node:path";
import vm from "node:vm";
import { type Failure, Interrupted, failureOf } from "./failure.ts";
import { type Cell, rewrite } from "./rewrite.ts";
import { shownResult } from "./shown.ts";
import { withoutTypes } from "./typescript.ts";

export type Language = "javascript" | "typescript";

export interface Outcome {
  readonly result?: Readonly<Record<string, unknown>>;
  readonly failure?: Failure;
}

/** Runs code; `interrupted` rejects when it must not be waited for any longer. */
export async function evaluate(
  ask: { readonly code: string; readonly count: number; readonly language: Language },
  interrupted: Promise<never>,
): Promise<Outcome> {
  try {
    const plain = ask.language === "typescript" ? withoutTypes(ask.code) : ask.code;
    const cell = rewrite(plain);
    const value = await Promise.race([valueOf(cell, ask.count), interrupted]);
    const result = cell.hasValue
      ? await Promise.race([shownResult(value), interrupted])
      : undefined;
    return result === undefined ? {} : { result };
  } catch (error) {
    return { failure: failureOf(error) };
  }
}

/** A cell whose value is a promise ends when that is settled. */
async function valueOf(cell: Cell, count: number): Promise<unknown> {
  makeDirectoryKnown();
  for (const name of cell.names) makePlain(name);
  const script = new vm.Script(cell.source, {
    filename: `cell ${count}`,
    columnOffset: -cell.offset,
    importModuleDynamically: vm.constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
  });
  const value: unknown = script.runInThisContext({ breakOnSigint: true, displayErrors: true });
  if (!cell.awaits) return cell.hasValue ? value : undefined;
  const returned: unknown = await value;
  const isBox = typeof returned === "object" && returned !== null && "value" in returned;
  return isBox ? returned.value : undefined;
}

/** A global that is computed when it is asked for (`crypto`, `fetch`) gives way to a declaration of the same name. */
function makePlain(name: string): void {
  const known = Object.getOwnPropertyDescriptor(globalThis, name);
  if (known?.get !== undefined && known.configurable === true)
    Object.defineProperty(globalThis, name, {
      value: undefined,
      writable: true,
      enumerable: true,
      configurable: true,
    });
}

const known = { directory: "" };

/** `require`, `__dirname` and `__filename` as a script in the working directory has them. */
function makeDirectoryKnown(): void {
  const directory = process.cwd();
  if (known.directory === directory) return;
  known.directory = directory;
  const file = join(directory, "cell.js");
  const values = { require: createRequire(file), __dirname: directory, __filename: file };
  for (const [name, value] of Object.entries(values)) define(name, value);
}

/** Makes something global that code may put something else in the place of. */
export function define(name: string, value: unknown): void {
  Object.defineProperty(globalThis, name, {
    value,
    writable: true,
    enumerable: false,
    configurable: true,
  });
}

/** A promise that `interrupt` rejects. */
export function interruption(): {
  readonly promise: Promise<never>;
  readonly interrupt: () => void;
} {
  const reason = new AbortController();
  const promise = new Promise<never>((_resolve, reject) => {
    reason.signal.addEventListener("abort", () => reject(new Interrupted()));
  });
  // It is only raced against, and may lose.
  promise.catch(() => undefined);
  return { promise, interrupt: () => reason.abort() };
}
