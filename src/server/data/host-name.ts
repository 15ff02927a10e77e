import { isIP } from "node:net";

/** What a request's own Host says. */
export type HostName =
  /** `<port>-<id>.<domain>`. */
  | { readonly kind: "sandbox"; readonly id: string; readonly port: number }
  /** This machine, an address, or `sandbox.<domain>`: headers may name the sandbox. */
  | { readonly kind: "steered"; readonly shared: boolean }
  | { readonly kind: "other" }
  | { readonly kind: "malformed" };

const authority = /^(\[[0-9a-f:.]{2,45}\]|[a-z0-9._-]{1,253})(?::\d{1,5})?$/;
const sandboxLabel = /^([1-9]\d{0,4})-([a-z0-9]{1,57})(?:-[a-z0-9]{1,57})?$/;
const sandboxName = /^([a-z0-9]{1,57})(?:-[a-z0-9]{1,57})?$/;

/** The lower-case name of a Host value, without its port; `undefined` for what is no host. */
export function hostNameOf(host: string): string | undefined {
  return authority.exec(host.toLowerCase())?.[1];
}

/** Reads a Host value. `domainName` is lower-case and has no port. */
export function readHost(host: string, domainName: string): HostName {
  const name = hostNameOf(host);
  if (name === undefined) return { kind: "malformed" };
  if (name === "localhost" || isIP(name.replace(/^\[(.*)\]$/, "$1")) !== 0)
    return { kind: "steered", shared: false };
  if (!name.endsWith(`.${domainName}`)) return { kind: "other" };
  const label = name.slice(0, -domainName.length - 1);
  if (label === "sandbox") return { kind: "steered", shared: true };
  return readLabel(label);
}

function readLabel(label: string): HostName {
  const [, port, id] = sandboxLabel.exec(label) ?? [];
  const number = readPort(port);
  if (number !== undefined && id !== undefined && label.length <= 63)
    return { kind: "sandbox", id, port: number };
  return /^\d+-/.test(label) ? { kind: "malformed" } : { kind: "other" };
}

/** A port in its one canonical spelling. */
export function readPort(text: string | undefined): number | undefined {
  if (text === undefined || !/^[1-9]\d{0,4}$/.test(text)) return undefined;
  const port = Number(text);
  return port <= 65_535 ? port : undefined;
}

/** A sandbox's id, also out of the older `<id>-<client id>`. */
export function readSandboxId(text: string | undefined): string | undefined {
  return text === undefined ? undefined : sandboxName.exec(text)?.[1];
}
