import type { SandboxError } from "../core/errors.ts";
import { invalid } from "../core/validate.ts";

/** Where a value comes from, for the error that refuses it: the library's name of the option. */
export type Field = string;

const mebibytesPerUnit: Readonly<Record<string, number>> = {
  "": 1,
  mib: 1,
  gib: 1024,
  tib: 1_048_576,
};

/** MiB in `512`, `512MiB`, `1.5gib`. Throws `invalid` for units that mean different things to different people. */
export function parseMebibytes(field: Field, value: string): number {
  const [, digits, unit] = /^(\d+(?:\.\d+)?) ?([A-Za-z]*)$/.exec(value) ?? [];
  if (digits === undefined || unit === undefined)
    throw invalid(
      field,
      `${quoted(value)} is not a size`,
      "write 512MiB or 2GiB; a number alone is MiB",
    );
  const name = unit.toLowerCase();
  const factor = Object.hasOwn(mebibytesPerUnit, name) ? mebibytesPerUnit[name] : undefined;
  if (factor === undefined) throw ambiguousSize(field, value, { digits, unit });
  const mebibytes = Number(digits) * factor;
  if (!Number.isInteger(mebibytes))
    throw invalid(
      field,
      `${quoted(value)} is not a whole number of MiB`,
      `write ${Math.ceil(mebibytes)}MiB`,
    );
  return mebibytes;
}

function ambiguousSize(
  field: Field,
  value: string,
  { digits, unit }: { readonly digits: string; readonly unit: string },
): SandboxError {
  const letter = unit.charAt(0).toUpperCase();
  const exact = ["M", "G", "T"].includes(letter) && /^.b?$/i.test(unit) ? letter : undefined;
  if (exact === undefined)
    return invalid(field, `${quoted(value)} has no unit that sizes have`, "use MiB, GiB or TiB");
  return invalid(
    field,
    `${quoted(unit)} in ${quoted(value)} can mean powers of 1000 or of 1024`,
    `write ${digits}${exact}iB for powers of 1024`,
  );
}

const millisecondsPerUnit: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** Milliseconds in `0`, `500ms`, `30s`, `5m`, `1h30m`, `2d`. Throws `invalid`, also for a number without a unit. */
export function parseMilliseconds(field: Field, value: string): number {
  if (value === "0") return 0;
  if (/^\d+(\.\d+)?$/.test(value))
    throw invalid(field, `${quoted(value)} has no unit`, `write ${value}s or ${value}ms`);
  if (!/^(\d+(\.\d+)?(ms|s|m|h|d))+$/.test(value))
    throw invalid(
      field,
      `${quoted(value)} is not a length of time`,
      "write 500ms, 30s, 5m, 1h30m or 2d; 0 is never",
    );
  let sum = 0;
  for (const [, digits, unit] of value.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/g))
    sum += Number(digits) * (millisecondsPerUnit[unit ?? ""] ?? 0);
  return sum;
}

/** A number, whole or not. Throws `invalid`; its range is the library's to check. */
export function parseNumber(field: Field, value: string): number {
  if (/^\d+(\.\d+)?$/.test(value)) return Number(value);
  throw invalid(field, `${quoted(value)} is not a number`, "write it in digits, such as 2 or 0.5");
}

/** One more `NAME=VALUE` over those before. Throws `invalid`. */
export function parseAssignment(
  field: Field,
  value: string,
  earlier: Readonly<Record<string, string>> = {},
): Readonly<Record<string, string>> {
  const at = value.indexOf("=");
  if (at < 1)
    throw invalid(
      field,
      `${quoted(value)} is not NAME=VALUE`,
      "give the value too; nothing is taken from the host's environment",
    );
  return { ...earlier, [value.slice(0, at)]: value.slice(at + 1) };
}

function quoted(value: string): string {
  return JSON.stringify(value.slice(0, 60));
}
