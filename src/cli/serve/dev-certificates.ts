import { chmod, mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { X509Certificate } from "node:crypto";
import { isIP } from "node:net";
import { join } from "node:path";
import { SandboxError } from "../../core/errors.ts";
import type { CredentialFiles } from "../../server/tls/credentials.ts";
import { type Pem, newAuthority, newCertificate } from "./certificates.ts";

/** A local authority and what it has signed. */
export interface DevCertificates {
  /** The authority's certificate, which clients are to trust. */
  readonly authority: string;
  readonly files: CredentialFiles;
  /** Signs anew where what is there soon expires, or is for other names. `true`: it did. */
  readonly renew: () => Promise<boolean>;
}

const dayMs = 86_400_000;
const authorityDays = 3650;
const certificateDays = 90;
/** What is left when a certificate is made anew. */
const spareDays = 30;

/** The certificates of `--dev-tls`, made in the directory, 0700, where they are missing. */
export async function devCertificates(
  directory: string,
  domainName: string,
): Promise<DevCertificates> {
  const place = (name: string): string => join(directory, name);
  const authority = { certificate: place("ca.crt"), key: place("ca.key") };
  const files = { certificate: place("server.crt"), key: place("server.key") };
  const names = namesBelow(domainName);
  const renew = async (): Promise<boolean> => {
    const issuer = (await good(authority, [])) ?? (await made(authority));
    const known = await good(files, names);
    if (known !== undefined && isSignedBy(known, issuer)) return false;
    const signed = await newCertificate(issuer, { names, days: certificateDays });
    await keep(files, { ...signed, certificate: `${signed.certificate}\n${issuer.certificate}\n` });
    return true;
  };
  await mkdir(directory, { recursive: true, mode: 0o700 });
  await chmod(directory, 0o700);
  await renew();
  return { authority: authority.certificate, files, renew };
}

/** Sandboxes' names, and those by which this host reaches itself. */
function namesBelow(domainName: string): readonly string[] {
  const own = [domainName, `*.${domainName}`];
  return [...new Set([...own, "localhost", "127.0.0.1", "::1"])];
}

async function made(files: CredentialFiles): Promise<Pem> {
  const pem = await newAuthority({ days: authorityDays });
  await keep(files, pem);
  return pem;
}

/** What the files hold, if it is whole, for these names, and good for a while; a file that cannot be read is an error. */
async function good(files: CredentialFiles, names: readonly string[]): Promise<Pem | undefined> {
  const pem = await contentOf(files);
  if (pem === undefined) return undefined;
  try {
    const certificate = new X509Certificate(pem.certificate);
    const isFresh = Date.parse(certificate.validTo) > Date.now() + spareDays * dayMs;
    return isFresh && names.every((name) => covers(certificate, name)) ? pem : undefined;
  } catch (cause) {
    throw new SandboxError("untrusted", `${files.certificate} holds no certificate`, {
      field: "devTls",
      mend: `remove ${files.certificate} and ${files.key}; clients must then trust a new authority`,
      cause,
    });
  }
}

function covers(certificate: X509Certificate, name: string): boolean {
  if (isIP(name) !== 0) return certificate.checkIP(name) !== undefined;
  return certificate.checkHost(name.replace(/^\*/, "any")) !== undefined;
}

function isSignedBy({ certificate }: Pem, issuer: Pem): boolean {
  const authority = new X509Certificate(issuer.certificate);
  return new X509Certificate(certificate).verify(authority.publicKey);
}

async function contentOf(files: CredentialFiles): Promise<Pem | undefined> {
  try {
    return {
      certificate: await readFile(files.certificate, "utf8"),
      key: await readFile(files.key, "utf8"),
    };
  } catch (cause) {
    if (cause instanceof Error && "code" in cause && cause.code === "ENOENT") return undefined;
    throw cause;
  }
}

/** The key first: whoever is stopped in between has no certificate, and begins again. */
async function keep(files: CredentialFiles, { certificate, key }: Pem): Promise<void> {
  for (const [file, text, mode] of [
    [files.key, key, 0o600],
    [files.certificate, certificate, 0o644],
  ] as const) {
    await writeFile(`${file}.new`, text, { mode });
    await chmod(`${file}.new`, mode);
    await rename(`${file}.new`, file);
  }
}
