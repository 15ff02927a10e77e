import { readFileSync, statSync } from "node:fs";
import { invalid } from "../core/validate.ts";
import { hostFileError } from "./host-files.ts";

/** The text of a file of the host that an option names. Throws `invalid` for what is no file or too long, `not-found`, `denied`. */
export function smallFile(field: string, file: string, maxBytes: number): string {
  try {
    const facts = statSync(file);
    if (!facts.isFile()) throw invalid(field, `${file} is no regular file`);
    if (facts.size > maxBytes) throw invalid(field, `${file} is longer than ${maxBytes} bytes`);
    return readFileSync(file, "utf8");
  } catch (cause) {
    throw hostFileError(field, file, cause);
  }
}
