import { randomBytes, randomInt } from "node:crypto";

const letters = "abcdefghijklmnopqrstuvwxyz0123456789";

/** A new sandbox's id: `i` and 20 random letters and digits, which is 103 bits. */
export function newSandboxId(): string {
  return `i${Array.from({ length: 20 }, () => letters[randomInt(letters.length)]).join("")}`;
}

/** A token that nobody guesses. */
export function newToken(): string {
  return randomBytes(32).toString("hex");
}
