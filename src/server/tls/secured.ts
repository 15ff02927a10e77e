import { constants } from "node:crypto";
import { createServer as createPlain, type Server } from "node:http";
import { createServer as createSecured, type Server as SecuredServer } from "node:https";
import { unwatchFile, watchFile } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { SandboxError } from "../../core/errors.ts";
import { dataServerOptions } from "../data/server-options.ts";
import type { Log } from "../log.ts";
import { answerPlainSpeech, noticeTls } from "./first-words.ts";
import {
  type CertificateFacts,
  type CredentialFiles,
  type Credentials,
  isFor,
  readCredentials,
} from "./credentials.ts";

/** A server of node:http, with or without TLS. */
export interface Door {
  readonly server: Server;
  /** Of the certificate that new connections get; `undefined`: nothing is encrypted. */
  certificate(): CertificateFacts | undefined;
  /** Whether clients would take its certificate for the host name; `true` where nothing is encrypted. */
  isFor(hostName: string): boolean;
  /** Takes the files as they are now. Whatever is wrong with them is logged, and the old ones stay. Never rejects. */
  reload(): Promise<void>;
  /** Looks at the files no longer. */
  close(): void;
}

export interface DoorOptions {
  /** `undefined`: without TLS. */
  readonly files: CredentialFiles | undefined;
  readonly log: Log;
  /** Told of each look at new files. */
  readonly reloaded: (result: "taken" | "refused", facts: CertificateFacts) => void;
}

/** How often the files are looked at. Milliseconds. */
const lookEveryMs = 2000;
/** The two files of a pair are seldom replaced at the same instant. Milliseconds. */
const settleMs = 500;

const handshake = {
  minVersion: "TLSv1.2",
  // Who is known to the other is not agreed on anew: that costs the server more than the client.
  secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
  ALPNProtocols: ["http/1.1"],
  handshakeTimeout: 10_000,
} as const;

/** Throws what `readCredentials` throws. */
export async function openDoor({ files, log, reloaded }: DoorOptions): Promise<Door> {
  if (files === undefined) return plainDoor(log);
  let credentials = await readCredentials(files);
  const server = createSecured({ ...dataServerOptions, ...handshake, ...pairOf(credentials) });
  answerPlainSpeech(server);
  const reload = async (): Promise<void> => {
    const before = credentials.facts.fingerprint;
    const found = await taken(server, files, log);
    credentials = found ?? credentials;
    const { facts } = credentials;
    reloaded(found === undefined ? "refused" : "taken", facts);
    if (found !== undefined && facts.fingerprint !== before)
      log("info", "new connections get a new certificate", told(facts));
  };
  const watching = watchPair(files, reload);
  server.on("close", watching);
  return {
    server,
    certificate: () => credentials.facts,
    isFor: (hostName) => isFor(credentials.cert, hostName),
    reload,
    close: watching,
  };
}

function plainDoor(log: Log): Door {
  const server = createPlain(dataServerOptions);
  noticeTls(server, log);
  return {
    server,
    certificate: () => undefined,
    isFor: () => true,
    reload: () => Promise.resolve(),
    close: () => undefined,
  };
}

/** Connections that are there keep what they began with. */
async function taken(
  server: SecuredServer,
  files: CredentialFiles,
  log: Log,
): Promise<Credentials | undefined> {
  try {
    const credentials = await readCredentials(files);
    const { minVersion, secureOptions } = handshake;
    server.setSecureContext({ minVersion, secureOptions, ...pairOf(credentials) });
    return credentials;
  } catch (cause) {
    log("error", "the new certificate is not taken, and the old one stays", {
      error: SandboxError.from(cause).message,
      file: files.certificate,
    });
    return undefined;
  }
}

function pairOf({ cert, key }: Credentials): Pick<Credentials, "cert" | "key"> {
  return { cert, key };
}

function told({ names, expiresAt, fingerprint }: CertificateFacts): {
  readonly names: string;
  readonly expiresAt: string;
  readonly fingerprint: string;
} {
  return { names: names.join(" "), expiresAt, fingerprint: fingerprint.slice(0, 16) };
}

/** Calls once after each change, however many files it touched. Links are followed at every look. */
function watchPair(files: CredentialFiles, changed: () => Promise<void>): () => void {
  let isWaiting = false;
  const settle = async (): Promise<void> => {
    if (isWaiting) return;
    isWaiting = true;
    await sleep(settleMs, undefined, { ref: false });
    isWaiting = false;
    await changed();
  };
  const paths = [files.certificate, files.key];
  const look = (): void => void settle();
  for (const path of paths) watchFile(path, { interval: lookEveryMs, persistent: false }, look);
  return () => {
    for (const path of paths) unwatchFile(path, look);
  };
}
