import { isIP } from "node:net";
import { SandboxError } from "../../core/errors.ts";
import { invalid } from "../../core/validate.ts";

/** What decides who can listen in. */
export interface DoorFlags {
  readonly host: string;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly devTls?: true;
  readonly force?: true;
}

/** Throws `invalid` for halves of a pair, and `denied` where keys would go over the network as anybody can read them. */
export function refuseOpenDoor({ host, tlsCert, tlsKey, devTls, force }: DoorFlags): void {
  if ((tlsCert === undefined) !== (tlsKey === undefined))
    throw invalid(
      tlsCert === undefined ? "tlsCert" : "tlsKey",
      "a certificate and its key go together",
      "give both --tls-cert FILE and --tls-key FILE",
    );
  if (tlsCert !== undefined && devTls === true)
    throw invalid("devTls", "there is a certificate already", "leave --dev-tls or --tls-cert out");
  const isEncrypted = tlsCert !== undefined || devTls === true;
  if (isEncrypted || force === true || isLoopback(host)) return;
  throw new SandboxError(
    "denied",
    `${host} is beyond this host, and nothing encrypts what is said`,
    {
      field: "host",
      mend: "give --tls-cert and --tls-key, or --dev-tls, or say --force where the network is yours alone",
    },
  );
}

function isLoopback(host: string): boolean {
  if (host === "localhost") return true;
  return isIP(host) === 4 ? host.startsWith("127.") : host === "::1";
}
