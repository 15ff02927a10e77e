import { randomBytes } from "node:crypto";

const letters = "abcdefghijklmnopqrstuvwxyz0123456789";
const form = /^i[a-z0-9]{20}$/;

const length = 20;
/** Bytes from here on would make some letters likelier than others. */
const fair = 256 - (256 % letters.length);

/** A new id: `i` and 20 random letters and digits, which is 103 bits. */
export function newMachineId(): string {
  let id = "i";
  while (id.length <= length)
    for (const byte of randomBytes(2 * length))
      if (byte < fair && id.length <= length) id += letters[byte % letters.length];
  return id;
}

/** Whether a text is an id, and so safe as a name in a path. */
export function isMachineId(text: string): boolean {
  return form.test(text);
}
