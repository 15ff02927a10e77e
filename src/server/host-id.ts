import { randomBytes } from "node:crypto";
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { SandboxError } from "../core/errors.ts";

/** By what rows of a store that several hosts share say whose they are: made once for each state directory. Throws `unavailable`. */
export function hostIdOf(stateDir: string): string {
  const directory = join(stateDir, "server");
  const file = join(directory, "host-id");
  const known = read(file);
  if (known !== undefined) return known;
  const id = `h${randomBytes(10).toString("hex")}`;
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  writeFileSync(`${file}.new`, `${id}\n`, { mode: 0o600, flush: true });
  renameSync(`${file}.new`, file);
  return id;
}

/** `undefined`: there is none yet. */
function read(file: string): string | undefined {
  let text = "";
  try {
    text = readFileSync(file, "utf8").trim();
  } catch (cause) {
    if (cause instanceof Error && "code" in cause && cause.code === "ENOENT") return undefined;
    throw cause;
  }
  if (/^h[0-9a-f]{20}$/.test(text)) return text;
  throw new SandboxError("unavailable", `${file} does not hold a host's id`, {
    mend: "restore it, or remove it: sandboxes that run here are found again",
  });
}
