import { inspect } from "node:util";
import { encode } from "./channel.ts";

const maxLineBytes = 60 * 1024 * 1024;
const maxTextLength = 2 * 1024 * 1024;
const maxDepth = 400;

type Fields = Record<string, unknown>;

const fieldsByType: Readonly<Record<string, string>> = {
  "text/plain": "text",
  "text/html": "html",
  "text/markdown": "markdown",
  "image/svg+xml": "svg",
  "image/png": "png",
  "image/jpeg": "jpeg",
  "application/pdf": "pdf",
  "text/latex": "latex",
  "application/json": "json",
  "application/javascript": "javascript",
};
const forms = new Set([...Object.values(fieldsByType), "data", "chart", "extra"]);
const inline = Symbol.for("Jupyter.display");

/** The fields of a result for a value; undefined for undefined, which is nothing to show. */
export async function shownResult(value: unknown): Promise<Fields | undefined> {
  if (value === undefined) return undefined;
  const own = typeof value === "object" && value !== null ? await ownForms(value) : undefined;
  return own === undefined ? shownValue(value) : bundle(own);
}

/** What `display` was given: an object of forms by name or MIME type, or any value. */
export function displayed(value: unknown): Fields {
  return isBundle(value) ? bundle(value) : shownValue(value);
}

/** What the value says of itself, as Jupyter's JavaScript kernels ask. */
function ownForms(value: object): unknown {
  const own: unknown = Reflect.get(value, inline);
  return typeof own === "function" ? Reflect.apply(own, value, []) : undefined;
}

function isPlain(value: unknown): value is Fields {
  if (typeof value !== "object" || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

function isBundle(value: unknown): value is Fields {
  if (!isPlain(value)) return false;
  const names = Object.keys(value);
  return (
    names.length > 0 && names.every((name) => forms.has(name) || /^[a-z]+\/[\w.+-]+$/.test(name))
  );
}

function bundle(value: unknown): Fields {
  if (!isPlain(value)) return shownValue(value);
  const fields: Fields = {};
  const extra: Fields = isPlain(value["extra"]) ? { ...value["extra"] } : {};
  for (const [name, given] of Object.entries(value)) {
    const form = fieldsByType[name] ?? (forms.has(name) ? name : undefined);
    const content = given instanceof Uint8Array ? Buffer.from(given).toString("base64") : given;
    if (form === undefined) extra[name] = content;
    else if (form !== "extra") fields[form] = content;
  }
  if (Object.keys(extra).length > 0) fields["extra"] = extra;
  return fitting(fields);
}

function shownValue(value: unknown): Fields {
  const fields: Fields = { text: typeof value === "string" ? value : inspect(value) };
  if (Array.isArray(value) || isPlain(value)) fields["json"] = value;
  return fitting(fields);
}

/** Leaves out what has no JSON form or does not fit into a line; text is cut. */
function fitting(fields: Fields): Fields {
  const fit: Fields = {};
  let left = maxLineBytes;
  for (const [name, value] of Object.entries(fields)) {
    const kept = name === "text" ? cut(String(value), maxTextLength) : value;
    const text = encoded(kept);
    if (text === undefined || text.length > left || depth(text) > maxDepth) continue;
    left -= text.length;
    fit[name] = kept;
  }
  return fit;
}

function encoded(value: unknown): string | undefined {
  try {
    return encode(value);
  } catch {
    // Cycles, big integers, a getter that throws: the value has no JSON form.
    return undefined;
  }
}

/** How deep brackets are nested in a JSON text. */
function depth(text: string): number {
  let deepest = 0;
  let open = 0;
  for (const [bracket] of text.replaceAll(/"(?:[^"\\]|\\.)*"/g, "").matchAll(/[[\]{}]/g)) {
    open += bracket === "[" || bracket === "{" ? 1 : -1;
    deepest = Math.max(deepest, open);
  }
  return deepest;
}

export function cut(text: string, length: number): string {
  return text.length <= length
    ? text
    : `${text.slice(0, length)}\n[cut: ${text.length} characters]`;
}
