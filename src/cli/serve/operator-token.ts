import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { SandboxError } from "../../core/errors.ts";
import { operatorTokenForm } from "../../server/observe/operator.ts";
import { hostFileError } from "../host-files.ts";
import { writeAside } from "./write-aside.ts";

function fileIn(directory: string): string {
  return join(directory, "operator-token");
}

/** The operator's token of the server of this directory, made at the first start. Remove the file to have another. */
export function keptOperatorToken(directory: string): string {
  const known = tokenIn(directory);
  if (known !== undefined) return known;
  const token = `cofferdam_operator_${randomBytes(32).toString("base64url")}`;
  writeAside(fileIn(directory), `${token}\n`);
  return token;
}

/** `undefined`: no server was ever started here. */
export function tokenIn(directory: string): string | undefined {
  const file = fileIn(directory);
  const token = textOf(file)?.trim();
  if (token === undefined || operatorTokenForm.test(token)) return token;
  throw new SandboxError("untrusted", `${file} holds no operator's token`, {
    mend: "remove it, and start the server again",
  });
}

function textOf(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch (cause) {
    const error = hostFileError("stateDir", file, cause);
    if (error.code !== "not-found") throw error;
    return undefined;
  }
}
