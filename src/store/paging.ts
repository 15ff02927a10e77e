import { z } from "zod";
import { SandboxError } from "../core/errors.ts";
import { pageLimit, parsed } from "./door.ts";

/** Part of a list; no row is seen twice and none that stays is missed, whatever is inserted in between. */
export interface Page<T> {
  readonly records: readonly T[];
  /** `undefined`: this is the last page. */
  readonly nextToken: string | undefined;
}

/** What a row is sorted by: its time, and its id where times are equal. */
export type Place = readonly [time: string, id: string];

const standardLimit = 100;
const longestToken = 1_024;
const placeSchema = z.tuple([z.string(), z.string()]);

export function limitOf(limit: number | undefined): number {
  return limit === undefined
    ? standardLimit
    : parsed(z.object({ limit: pageLimit }), { limit }).limit;
}

/** Where the page before ended; `undefined`: this is the first. Throws `invalid` for a token that is none. */
export function placeOf(token: string | undefined): Place | undefined {
  if (token === undefined) return undefined;
  try {
    if (token.length > longestToken) throw new Error("too long");
    return placeSchema.parse(JSON.parse(Buffer.from(token, "base64url").toString()));
  } catch (cause) {
    throw new SandboxError("invalid", "token: not one that a page of this list gave", {
      field: "token",
      cause,
    });
  }
}

/** Makes a page of up to `limit` rows out of `limit + 1`. */
export function pageOf<Row, T>(
  rows: readonly Row[],
  limit: number,
  { place, record }: { place: (row: Row) => Place; record: (row: Row) => T },
): Page<T> {
  const shown = rows.slice(0, limit);
  const last = shown.at(-1);
  const isLast = rows.length <= limit || last === undefined;
  return {
    records: shown.map(record),
    nextToken: isLast ? undefined : Buffer.from(JSON.stringify(place(last))).toString("base64url"),
  };
}
