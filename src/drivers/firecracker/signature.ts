import { createPrivateKey, createPublicKey, generateKeyPairSync, sign, verify } from "node:crypto";
import type { KeyObject } from "node:crypto";
import { link, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { isMissing, systemCode } from "../../images/file-errors.ts";

/** This host's key for what it saves, which only root can read. Made once. */
export async function signingKey(file: string): Promise<KeyObject> {
  try {
    return createPrivateKey(await readFile(file, "utf8"));
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
  const { privateKey } = generateKeyPairSync("ed25519");
  const aside = `${file}.${process.pid}`;
  await mkdir(dirname(file), { recursive: true, mode: 0o711 });
  await writeFile(aside, privateKey.export({ type: "pkcs8", format: "pem" }), { mode: 0o600 });
  try {
    await link(aside, file);
  } catch (error) {
    if (systemCode(error) !== "EEXIST") throw error;
  } finally {
    await rm(aside, { force: true });
  }
  return createPrivateKey(await readFile(file, "utf8"));
}

/** In hexadecimal digits. */
export function signatureOf(text: string, key: KeyObject): string {
  return sign(null, Buffer.from(text), key).toString("hex");
}

export function isSigned(text: string, signature: string, key: KeyObject): boolean {
  return verify(null, Buffer.from(text), createPublicKey(key), Buffer.from(signature, "hex"));
}
