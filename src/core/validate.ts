import { SandboxError } from "./errors.ts";

/** An object of unknown fields. */
export type Unparsed = Readonly<Record<string, unknown>>;

/** Bounds of a number; `unit` is what it counts, for the message. */
export interface Range {
  readonly min: number;
  readonly max: number;
  readonly unit: string;
  /** Fractions are allowed. Default `false`. */
  readonly fractional?: boolean;
}

export function invalid(field: string, message: string, mend?: string): SandboxError {
  return new SandboxError(
    "invalid",
    `${field}: ${message}`,
    mend === undefined ? { field } : { field, mend },
  );
}

/**
 * An options object with known keys alone; absent is empty.
 *
 * `hints` says for names that other libraries use what this one calls them. Throws `invalid`, naming the key.
 */
export function optionsObject(
  value: unknown,
  keys: readonly string[],
  {
    at = "",
    hints = {},
  }: { readonly at?: string; readonly hints?: Readonly<Record<string, string>> } = {},
): Unparsed {
  if (value === undefined) return {};
  if (!isObject(value)) throw invalid(at === "" ? "options" : at, "expected an object");
  for (const key of Object.keys(value)) {
    if (!keys.includes(key))
      throw unknownOption(at === "" ? key : `${at}.${key}`, key, { keys, hints });
  }
  return value;
}

function unknownOption(
  field: string,
  key: string,
  known: { readonly keys: readonly string[]; readonly hints: Readonly<Record<string, string>> },
): SandboxError {
  const hint = Object.hasOwn(known.hints, key) ? known.hints[key] : undefined;
  if (hint !== undefined) return invalid(field, "unknown option", hint);
  const similar = nearest(key, known.keys);
  return invalid(
    field,
    "unknown option",
    similar === undefined ? `use one of ${known.keys.join(", ")}` : `did you mean ${similar}?`,
  );
}

export function isObject(value: unknown): value is Unparsed {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A number within its range; `undefined` stays so. Throws `invalid` with the range and the unit. */
export function numberIn(field: string, value: unknown, range: Range): number | undefined {
  if (value === undefined) return undefined;
  const { min, max, unit } = range;
  const kind = range.fractional === true ? "a number" : "a whole number";
  const wanted = `${kind} of ${unit} from ${min} to ${max}`;
  if (typeof value !== "number") throw invalid(field, `expected ${wanted}, got ${shown(value)}`);
  const whole = range.fractional === true || Number.isInteger(value);
  if (!whole || !(value >= min && value <= max))
    throw invalid(field, `${value} is not ${wanted}`, unitMend(value, range));
  return value;
}

/** Says so when the number would fit in a neighbouring unit: bytes for MiB, seconds for milliseconds. */
function unitMend(value: number, { min, max, unit }: Range): string | undefined {
  if (unit === "MiB" && value > max && value % 1048576 === 0)
    return `the unit is MiB: ${value / 1048576}`;
  if (unit === "milliseconds" && value > 0 && value < min)
    return `the unit is milliseconds: ${value * 1000} for ${value} s`;
  return undefined;
}

/** A milliseconds option where 0 means never. */
export function timeoutOption(field: string, value: unknown, standard: number): number {
  return (
    numberIn(field, value, { min: 0, max: longestMs, unit: "milliseconds", fractional: true }) ??
    standard
  );
}

/** The longest time that a timer can measure. */
const longestMs = 2_147_483_647;

export function text(field: string, value: unknown): string {
  if (typeof value !== "string") throw invalid(field, `expected text, got ${shown(value)}`);
  if (value.includes("\0")) throw invalid(field, "must not contain a NUL character");
  return value;
}

export function optionalText(field: string, value: unknown): string | undefined {
  return value === undefined ? undefined : text(field, value);
}

export function flag(field: string, value: unknown, standard: boolean): boolean {
  if (value === undefined) return standard;
  if (typeof value !== "boolean")
    throw invalid(field, `expected true or false, got ${shown(value)}`);
  return value;
}

/** Names and values, all text; absent is empty. `maxBytes` bounds all of them together. */
export function textMap(
  field: string,
  value: unknown,
  maxBytes: number,
): Readonly<Record<string, string>> {
  if (value === undefined) return {};
  if (!isObject(value)) throw invalid(field, "expected an object of texts");
  let size = 0;
  for (const [name, entry] of Object.entries(value)) {
    if (name === "" || /[\0]/.test(name))
      throw invalid(field, "a name must not be empty or hold a NUL character");
    size += name.length + text(`${field}.${name}`, entry).length;
  }
  if (size > maxBytes)
    throw invalid(field, `${size} characters are more than the ${maxBytes} that are allowed`);
  return Object.fromEntries(Object.entries(value).map(([name, entry]) => [name, String(entry)]));
}

/** Environment variables: a text map whose names a process can hold. */
export function environment(field: string, value: unknown): Readonly<Record<string, string>> {
  const envs = textMap(field, value, maxEnvironmentCharacters);
  for (const name of Object.keys(envs)) {
    if (name.includes("="))
      throw invalid(`${field}.${name}`, "a variable's name must not contain =");
  }
  return envs;
}

const maxEnvironmentCharacters = 32_768;

/** A function, for a callback option; `undefined` stays so. */
export function callback<T>(field: string, value: T | undefined): T | undefined {
  if (value === undefined || typeof value === "function") return value;
  throw invalid(field, `expected a function, got ${shown(value)}`);
}

/** A path inside the sandbox; relative ones start at the user's home. */
export function guestPath(field: string, value: unknown): string {
  const path = text(field, value);
  if (path === "") throw invalid(field, "must not be empty");
  if (path.length > maxPathCharacters)
    throw invalid(field, `is longer than ${maxPathCharacters} characters`);
  return path;
}

const maxPathCharacters = 4096;

/** Throws `cancelled` when the signal has aborted. */
export function notAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) throw cancelled(signal);
}

export function cancelled(signal: AbortSignal): SandboxError {
  return new SandboxError("cancelled", "the caller cancelled it", { cause: signal.reason });
}

export function signalOption(value: unknown): AbortSignal | undefined {
  if (value === undefined || value instanceof AbortSignal) return value;
  throw invalid("signal", `expected an AbortSignal, got ${shown(value)}`);
}

function shown(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value.slice(0, 40));
  return value === null ? "null" : typeof value;
}

/** The known name that is most like the given one, if one is near. */
export function nearest(name: string, known: readonly string[]): string | undefined {
  const ranked = known
    .map((candidate) => ({
      candidate,
      distance: editDistance(name.toLowerCase(), candidate.toLowerCase()),
    }))
    .toSorted((left, right) => left.distance - right.distance);
  const best = ranked[0];
  return best !== undefined && best.distance <= Math.max(2, Math.floor(name.length / 3))
    ? best.candidate
    : undefined;
}

function editDistance(left: string, right: string): number {
  if (left.length > 64) return left.length;
  let row = Array.from({ length: right.length + 1 }, (_, column) => column);
  for (const [index, letter] of Array.from(left).entries()) {
    const next = [index + 1];
    for (const [column, other] of Array.from(right).entries()) {
      const substitution = (row[column] ?? 0) + (letter === other ? 0 : 1);
      next.push(Math.min(substitution, (row[column + 1] ?? 0) + 1, (next[column] ?? 0) + 1));
    }
    row = next;
  }
  return row[right.length] ?? 0;
}
