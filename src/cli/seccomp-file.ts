import { SandboxError } from "../core/errors.ts";
import type { SeccompProfile } from "../core/spec.ts";
import { invalid, isObject } from "../core/validate.ts";
import { smallFile } from "./small-file.ts";

const maxProfileBytes = 1_048_576;

/** The profile in a file, which the driver checks. Throws `invalid`, `not-found`, `denied`. */
export function readSeccomp(file: string): SeccompProfile {
  const profile = parsed(file, smallFile("seccomp", file, maxProfileBytes));
  if (isObject(profile)) return profile;
  throw invalid("seccomp", `${file} holds no object`, "give the linux.seccomp object of OCI");
}

function parsed(file: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new SandboxError("invalid", `seccomp: ${file} is not JSON`, {
      field: "seccomp",
      mend: "name a profile as runC and Docker take it",
      cause,
    });
  }
}
