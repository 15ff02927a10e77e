import { randomInt } from "node:crypto";

const letters = "abcdefghijklmnopqrstuvwxyz0123456789";
const form = /^i[a-z0-9]{20}$/;

/** A new id: `i` and 20 random letters and digits, which is 103 bits. */
export function newMachineId(): string {
  return `i${Array.from({ length: 20 }, () => letters[randomInt(letters.length)]).join("")}`;
}

/** Whether a text is an id, and so safe as a name in a path. */
export function isMachineId(text: string): boolean {
  return form.test(text);
}
