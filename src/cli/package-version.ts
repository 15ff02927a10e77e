import { readFileSync } from "node:fs";
import { isObject } from "../core/validate.ts";

/** The version of this package. */
export function packageVersion(): string {
  const parsed: unknown = JSON.parse(
    readFileSync(new URL("../../package.json", import.meta.url), "utf8"),
  );
  return isObject(parsed) ? String(parsed["version"]) : "0";
}
