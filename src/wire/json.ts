import { SandboxError } from "../core/errors.ts";

/** An object of unknown fields, as JSON gives it. */
export type Fields = Readonly<Record<string, unknown>>;

/** Bytes as JSON. Throws `untrusted`. Invalid UTF-8 becomes U+FFFD. */
export function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(asBuffer(bytes).toString("utf8"));
  } catch (cause) {
    throw new SandboxError("untrusted", "the sandbox sent text that is not JSON", { cause });
  }
}

/** A value as an object. Throws `untrusted` with what was expected. */
export function asFields(value: unknown, what: string): Fields {
  if (isFields(value)) return value;
  throw malformed(what);
}

export function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The error for a message whose shape is wrong. */
export function malformed(what: string): SandboxError {
  return new SandboxError("untrusted", `the sandbox sent a malformed ${what}`);
}

/** The same bytes as a Buffer, not copied. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes)
    ? bytes
    : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Own string field. Absent is `undefined`, as proto-JSON leaves out empty values; another type throws `untrusted`. */
export function textField(fields: Fields, key: string): string | undefined {
  const value = ownField(fields, key);
  if (value === undefined || value === null) return undefined;
  if (typeof value === "string") return value;
  throw malformed(`field ${key}`);
}

/** Own integer field; proto-JSON writes 64-bit ones as text. Absent is 0. Throws `untrusted` when it is not a safe integer. */
export function integerField(fields: Fields, key: string): number {
  const value = ownField(fields, key);
  if (value === undefined || value === null) return 0;
  const number = typeof value === "string" && /^-?\d{1,16}$/.test(value) ? Number(value) : value;
  if (typeof number === "number" && Number.isSafeInteger(number)) return number;
  throw malformed(`field ${key}`);
}

/** Own object of strings; absent is empty. Throws `untrusted`. */
export function textsField(fields: Fields, key: string): Readonly<Record<string, string>> {
  const value = ownField(fields, key);
  if (value === undefined || value === null) return {};
  const entries = Object.entries(asFields(value, `field ${key}`));
  return Object.fromEntries(
    entries.map(([name, text]) => {
      if (typeof text !== "string") throw malformed(`field ${key}`);
      return [name, text];
    }),
  );
}

/** A field of the object itself, never one of its prototype. */
export function ownField(fields: Fields, key: string): unknown {
  return Object.hasOwn(fields, key) ? fields[key] : undefined;
}
