import { X509Certificate, createPrivateKey } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createSecureContext } from "node:tls";
import { SandboxError } from "../../core/errors.ts";

/** Files in PEM: a certificate with those that lead to its root, and its key. */
export interface CredentialFiles {
  readonly certificate: string;
  readonly key: string;
}

/** What may be told of a certificate. */
export interface CertificateFacts {
  readonly names: readonly string[];
  readonly issuer: string;
  /** RFC 3339. */
  readonly expiresAt: string;
  /** SHA-256 in hexadecimal. */
  readonly fingerprint: string;
}

export interface Credentials {
  readonly cert: string;
  readonly key: string;
  readonly facts: CertificateFacts;
}

const maxFileBytes = 1_048_576;

/** Throws `invalid` or `not-found` with the field and the mend for what TLS could not be spoken with. */
export async function readCredentials(files: CredentialFiles): Promise<Credentials> {
  const cert = await contentOf("tlsCert", files.certificate);
  const key = await contentOf("tlsKey", files.key);
  const certificate = certificateIn(cert, files.certificate);
  if (!certificate.checkPrivateKey(privateKeyIn(key, files.key)))
    throw invalid("tlsKey", `${files.key} is not the key of ${files.certificate}`, {
      mend: "give the two files that belong together",
    });
  if (Date.parse(certificate.validTo) <= Date.now())
    throw invalid("tlsCert", `${files.certificate} expired on ${certificate.validTo}`, {
      mend: "renew it",
    });
  requireUsable(cert, key, files);
  return { cert, key, facts: factsOf(certificate) };
}

/** Whether a certificate is for a host name, as clients judge it. */
export function isFor(cert: string, hostName: string): boolean {
  return new X509Certificate(cert).checkHost(hostName) !== undefined;
}

function factsOf(certificate: X509Certificate): CertificateFacts {
  const { subjectAltName = "", issuer, validTo, fingerprint256 } = certificate;
  return {
    names: subjectAltName.split(", ").map((name) => name.replace(/^(?:DNS|IP Address):/, "")),
    issuer: issuer.replaceAll("\n", ", "),
    expiresAt: new Date(validTo).toISOString(),
    fingerprint: fingerprint256.replaceAll(":", "").toLowerCase(),
  };
}

async function contentOf(field: string, file: string): Promise<string> {
  try {
    const text = await readFile(file, "utf8");
    if (text.length <= maxFileBytes) return text;
  } catch (cause) {
    throw new SandboxError("not-found", `${field}: ${file} cannot be read`, {
      field,
      mend: "name a file that the server's user may read",
      cause,
    });
  }
  throw invalid(field, `${file} is longer than ${maxFileBytes} bytes`);
}

function certificateIn(text: string, file: string): X509Certificate {
  try {
    return new X509Certificate(text);
  } catch (cause) {
    throw invalid("tlsCert", `${file} holds no certificate`, { mend: "give it in PEM", cause });
  }
}

function privateKeyIn(text: string, file: string): ReturnType<typeof createPrivateKey> {
  try {
    return createPrivateKey(text);
  } catch (cause) {
    throw invalid("tlsKey", `${file} holds no key that can be read`, {
      mend: "give it in PEM, without a passphrase",
      cause,
    });
  }
}

/** OpenSSL has opinions of its own: on weak keys, on what stands behind the first certificate. */
function requireUsable(cert: string, key: string, { certificate }: CredentialFiles): void {
  try {
    createSecureContext({ cert, key });
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : "it is refused";
    throw invalid("tlsCert", `${certificate} cannot be used: ${reason}`, { cause });
  }
}

function invalid(
  field: string,
  message: string,
  details: { readonly mend?: string; readonly cause?: unknown } = {},
): SandboxError {
  return new SandboxError("invalid", `${field}: ${message}`, { field, ...details });
}
