import { randomBytes } from "node:crypto";

/** A name that nobody guesses and no other row has: a letter for its kind and 20 hexadecimal digits. */
export function newId(kind: "t" | "k"): string {
  return `${kind}${randomBytes(10).toString("hex")}`;
}
